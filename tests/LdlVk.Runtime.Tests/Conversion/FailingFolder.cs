using LdlVk.Runtime.Conversion;

namespace LdlVk.Runtime.Tests.Conversion;

/// <summary>How a conversion is ended.</summary>
public enum Ending
{
    /// <summary>Nothing happens: the steps are counted.</summary>
    None,
    /// <summary>The process is killed: what was written is in its files, and nothing more happens to the disk.</summary>
    Killed,
    /// <summary>The power fails: of a file that was not synchronized, half of the bytes are gone and the rest is zeros.</summary>
    PowerLost,
    /// <summary>The disk is full: this write and all later ones fail, other operations go on.</summary>
    Full,
}

/// <summary>A disk that fails at a given step. Every byte written is a step, and so is every operation.</summary>
internal sealed class FailingFolder(string path, Ending ending = Ending.None, long lastStep = long.MaxValue) : OutputFolder(path)
{
    private readonly Lock _gate = new();
    private readonly HashSet<FailingFile> _unsynced = [];
    private bool _dead;

    /// <summary>Steps so far.</summary>
    public long Steps { get; private set; }

    /// <summary>Steps at which an operation other than a write began.</summary>
    public List<long> Operations { get; } = [];

    public long? Free { get; init; }

    public override long? FreeBytes => Free ?? base.FreeBytes;

    public override OutputFile Create(string name)
    {
        Operation();
        return new FailingFile(this, this[name]);
    }

    public override void Delete(string name)
    {
        Operation();
        base.Delete(name);
    }

    private void Operation()
    {
        lock (_gate)
        {
            if (_dead) throw new KilledException();
            Operations.Add(Steps);
            if (++Steps > lastStep && ending is (Ending.Killed or Ending.PowerLost)) Die();
        }
    }

    private void Die()
    {
        _dead = true;
        if (ending == Ending.PowerLost)
            foreach (FailingFile file in _unsynced) file.Lose();
        throw new KilledException();
    }

    /// <summary>What ends a test's conversion in the place of the process.</summary>
    public sealed class KilledException : Exception;

    private sealed class FailingFile(FailingFolder folder, string path) : OutputFile(path)
    {
        private readonly string _path = path;

        public override void Write(ReadOnlySpan<byte> bytes)
        {
            lock (folder._gate)
            {
                if (folder._dead) throw new KilledException();
                folder._unsynced.Add(this);
                int fit = (int)Math.Clamp(folder.LastStep - folder.Steps, 0, bytes.Length);
                base.Write(bytes[..fit]);
                folder.Steps += fit;
                if (fit == bytes.Length) return;
                if (folder.Ending == Ending.Full) throw new IOException($"No space left on device : '{_path}'");
                folder.Die();
            }
        }

        /// <summary>Without the disk's own, which takes long and tells nothing here.</summary>
        public override void Sync()
        {
            lock (folder._gate)
            {
                if (folder._dead) throw new KilledException();
                folder._unsynced.Remove(this);
            }
        }

        public override void Complete()
        {
            folder.Operation();
            base.Complete();
        }

        public void Lose()
        {
            string there = File.Exists(_path + OutputFolder.PartialSuffix) ? _path + OutputFolder.PartialSuffix : _path;
            using FileStream file = new(there, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            long length = file.Length;
            file.SetLength(0);
            file.SetLength(length / 2);
        }
    }

    private long LastStep => lastStep;

    private Ending Ending => ending;
}
