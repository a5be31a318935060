using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.Checksum;
using ICSharpCode.SharpZipLib.Zip.Compression;

namespace LdlVk.Datasets.Containers;

/// <summary>
/// Decompresses gzip (RFC 1952): any number of members, zeros behind them as tapes have, and nothing else. To .NET's GZipStream a file that
/// was cut short is one that ends there, and to SharpZipLib's GZipInputStream one ends where a member's header is damaged: lines would be
/// lost and nobody told.
/// </summary>
/// <param name="file">The file, which becomes this one's to close.</param>
internal sealed class GzipReader(Stream file) : ReadOnlyStream
{
    private const int HasHeaderChecksum = 2, HasExtra = 4, HasName = 8, HasComment = 16, Reserved = 0xe0;

    private readonly byte[] _input = new byte[1 << 12];
    private readonly Inflater _inflater = new(noHeader: true);
    private readonly Crc32 _checksum = new();
    private int _at, _end;
    private bool _inMember;

    /// <exception cref="SharpZipBaseException">The file is damaged.</exception>
    /// <exception cref="EndOfStreamException">It ends within a member.</exception>
    public override int Read(byte[] buffer, int offset, int count)
    {
        while (count > 0 && (_inMember || BeginMember()))
        {
            int read = _inflater.Inflate(buffer, offset, count);
            if (read > 0)
            {
                _checksum.Update(new ArraySegment<byte>(buffer, offset, read));
                return read;
            }

            if (_inflater.IsFinished) EndMember();
            else if (!_inflater.IsNeedingInput) throw new SharpZipBaseException("It asks for a dictionary.");
            else if (!Fill()) throw new EndOfStreamException("It ends within the data.");
            else _inflater.SetInput(_input, 0, _end);
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) file.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>Goes on to the next member; false at the end of the file.</summary>
    private bool BeginMember()
    {
        while (_at < _end || Fill())
        {
            if (_input[_at] != 0)
            {
                ReadHeader();
                return _inMember = true;
            }

            _at++; // what fills up a tape's block
        }

        return false;
    }

    private void ReadHeader()
    {
        if (Next() != 0x1f || Next() != 0x8b || Next() != 8) throw new SharpZipBaseException("Behind its end, or between two parts, is something that is not gzip.");
        int flags = Next();
        if ((flags & Reserved) != 0) throw new SharpZipBaseException("A header has unknown flags.");
        Skip(6); // time, level, system
        if ((flags & HasExtra) != 0) Skip(Next() | (Next() << 8));
        if ((flags & HasName) != 0) while (Next() != 0) { }
        if ((flags & HasComment) != 0) while (Next() != 0) { }
        if ((flags & HasHeaderChecksum) != 0) Skip(2);
        _inflater.Reset();
        _checksum.Reset();
        if (_at < _end) _inflater.SetInput(_input, _at, _end - _at);
    }

    private void EndMember()
    {
        _at = _end - _inflater.RemainingInput;
        if (NextInteger() != (uint)_checksum.Value) throw new SharpZipBaseException("The checksum is wrong.");
        if (NextInteger() != (uint)_inflater.TotalOut) throw new SharpZipBaseException("The length is wrong.");
        _inMember = false;
    }

    private uint NextInteger() => (uint)(Next() | (Next() << 8) | (Next() << 16) | (Next() << 24));

    private void Skip(int count)
    {
        for (int i = 0; i < count; i++) Next();
    }

    private int Next() => _at < _end || Fill() ? _input[_at++] : throw new EndOfStreamException("It ends within a header or a checksum.");

    /// <summary>Reads on where all that was read is used up; false at the end of the file.</summary>
    private bool Fill()
    {
        (_at, _end) = (0, file.Read(_input, 0, _input.Length));
        return _end > 0;
    }
}
