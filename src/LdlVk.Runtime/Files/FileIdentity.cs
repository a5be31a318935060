using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Runtime.Files;

/// <summary>The kind of an entry of a file system.</summary>
public enum FileKind
{
    /// <summary>A regular file.</summary>
    File,
    /// <summary>A folder.</summary>
    Folder,
    /// <summary>A device, a named pipe or a socket: it has no content that writing could overwrite.</summary>
    Device,
}

/// <summary>
/// The identity of an existing file or folder: equal for all its names, through symbolic links, hard links and other spellings of the path.
/// On Linux it is the device and the inode (statx), on Windows the volume and the file's id. Other systems have neither here; the identity
/// is the path without links there, which does not find hard links.
/// </summary>
/// <param name="Volume">The device or volume.</param>
/// <param name="Number">The number on it.</param>
/// <param name="Path">The path without links, on systems that have no numbers; otherwise empty.</param>
/// <param name="Kind">The kind of the entry.</param>
public readonly partial record struct FileIdentity(ulong Volume, UInt128 Number, string Path, FileKind Kind)
{
    private const int CurrentFolder = -100, EmptyPath = 0x1000; // AT_FDCWD, AT_EMPTY_PATH
    private const uint TypeAndInode = 0x1 | 0x100; // STATX_TYPE | STATX_INO

    /// <summary>Returns the identity of the entry that a path leads to, through all links; null if there is none.</summary>
    public static FileIdentity? Of(string path)
    {
        if (string.IsNullOrEmpty(path) || path.Contains('\0', StringComparison.Ordinal)) return null;
        if (OperatingSystem.IsLinux()) return OfLinux(CurrentFolder, path, 0);
        if (OperatingSystem.IsWindows())
        {
            // Access 0 asks for the attributes only; the flag is needed for folders.
            const uint ShareAll = 7, OpenExisting = 3, BackupSemantics = 0x02000000;
            using SafeFileHandle handle = CreateFile(System.IO.Path.GetFullPath(path), 0, ShareAll, 0, OpenExisting, BackupSemantics, 0);
            return handle.IsInvalid ? null : OfWindows(handle);
        }

        FileKind kind = Directory.Exists(path) ? FileKind.Folder : path.StartsWith("/dev/", StringComparison.Ordinal) ? FileKind.Device
            : FileKind.File;
        return File.Exists(path) || kind == FileKind.Folder ? new FileIdentity(0, 0, RealPath.Of(path), kind) : null;
    }

    /// <summary>Returns the identity of an open file; null if the system does not tell.</summary>
    public static FileIdentity? Of(SafeFileHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        if (OperatingSystem.IsLinux()) return OfLinux((int)handle.DangerousGetHandle(), "", EmptyPath);
        return OperatingSystem.IsWindows() ? OfWindows(handle) : null;
    }

    private static unsafe FileIdentity? OfLinux(int folder, string path, int flags)
    {
        Statx result;
        if (QueryFile(folder, path, flags, TypeAndInode, &result) != 0) return null;
        FileKind kind = (result.Mode & 0xf000) switch { 0x8000 => FileKind.File, 0x4000 => FileKind.Folder, _ => FileKind.Device };
        return new FileIdentity(((ulong)result.DeviceMajor << 32) | result.DeviceMinor, result.Inode, "", kind);
    }

    private static unsafe FileIdentity? OfWindows(SafeFileHandle handle)
    {
        const int FileIdInfo = 18, Disk = 1;
        const uint Folder = 0x10;
        FileIdInfoResult id;
        if (GetFileType(handle) != Disk) return new FileIdentity(0, 0, "", FileKind.Device);
        if (GetFileInformationByHandle(handle, out ByHandleInformation info) == 0) return null;
        FileKind kind = (info.Attributes & Folder) != 0 ? FileKind.Folder : FileKind.File;
        // Ids of ReFS have 128 bits. File systems that have no such ids have the index of 64 bits.
        return GetFileInformationByHandleEx(handle, FileIdInfo, &id, (uint)sizeof(FileIdInfoResult)) != 0
            ? new FileIdentity(id.Volume, new UInt128(id.High, id.Low), "", kind)
            : new FileIdentity(info.Volume, new UInt128(info.IndexHigh, info.IndexLow), "", kind);
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int QueryFile(int folder, string path, int flags, uint mask, Statx* result);

    [LibraryImport("kernel32.dll", EntryPoint = "CreateFileW", StringMarshalling = StringMarshalling.Utf16)]
    private static partial SafeFileHandle CreateFile(
        string name, uint access, uint share, nint security, uint disposition, uint flags, nint template);

    [LibraryImport("kernel32.dll")]
    private static partial int GetFileType(SafeFileHandle handle);

    [LibraryImport("kernel32.dll")]
    private static unsafe partial int GetFileInformationByHandleEx(SafeFileHandle handle, int kind, void* result, uint bytes);

    [LibraryImport("kernel32.dll")]
    private static partial int GetFileInformationByHandle(SafeFileHandle handle, out ByHandleInformation result);

    /// <summary>The fields of <c>struct statx</c> (linux/stat.h, 256 bytes) that are read.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Statx
    {
        [FieldOffset(28)]
        public ushort Mode;
        [FieldOffset(32)]
        public ulong Inode;
        [FieldOffset(136)]
        public uint DeviceMajor;
        [FieldOffset(140)]
        public uint DeviceMinor;
    }

    /// <summary><c>FILE_ID_INFO</c>.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    private struct FileIdInfoResult
    {
        [FieldOffset(0)]
        public ulong Volume;
        [FieldOffset(8)]
        public ulong Low;
        [FieldOffset(16)]
        public ulong High;
    }

    /// <summary>The fields of <c>BY_HANDLE_FILE_INFORMATION</c> that are read.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 52)]
    private struct ByHandleInformation
    {
        [FieldOffset(0)]
        public uint Attributes;
        [FieldOffset(28)]
        public uint Volume;
        [FieldOffset(44)]
        public uint IndexHigh;
        [FieldOffset(48)]
        public uint IndexLow;
    }
}
