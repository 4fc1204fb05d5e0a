import Glibc

/// The folder that a run leaves its evidence in.
public struct OutputFolder: Sendable {
    public enum File: String, CaseIterable, Sendable {
        // Written last, so its presence says that the run came to its end; removed first.
        case summary = "summary.json"
        case keys = "zigbee_pc_keys"
        case events = "events.jsonl"
        case trace = "trace.pcapng"
    }

    /// As the user gave it, without trailing slashes.
    public let path: String
    private let lock: FolderLock?

    /// Makes the folder, and those above it, if need be, and removes the four files of an earlier
    /// run. Nothing else in it is touched, and nothing is removed if one of the four cannot be, or
    /// if another run has the folder: it is this one's alone until `release`.
    public init(preparing path: String) throws(EvidenceError) {
        self.path = Self.trimmed(path)
        try Self.create(self.path)
        lock = try FolderLock(on: self.path)
        // Found out before the first one goes, so that an earlier run stays whole.
        for file in File.allCases {
            var status = stat()
            let target = self.path(of: file)
            if lstat(target, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                throw EvidenceError(.remove, target, code: EISDIR)
            }
        }
        for file in File.allCases {
            let target = self.path(of: file)
            if unlink(target) != 0, errno != ENOENT {
                throw EvidenceError(.remove, target, code: errno)
            }
        }
    }

    /// A folder that somebody else has prepared; nothing is made, removed or looked at.
    public init(existing path: String) {
        self.path = Self.trimmed(path)
        lock = nil
    }

    /// Nothing more is written to it: another run may have it.
    public func release() { lock?.release() }

    public func path(of file: File) -> String {
        path == "/" ? "/" + file.rawValue : path + "/" + file.rawValue
    }

    /// Writes a whole file; it appears under its name only once complete.
    public func write(_ bytes: [UInt8], to file: File) throws(EvidenceError) {
        let target = path(of: file)
        let partial = target + ".part"
        _ = unlink(partial)
        let trouble = FirstError()
        let output = try OutputFile(creating: partial, reportingTo: trouble)
        output.put(bytes)
        output.close()
        if trouble.error == nil, rename(partial, target) != 0 {
            trouble.note(EvidenceError(.rename, target, code: errno))
        }
        if let error = trouble.error {
            _ = unlink(partial)
            throw EvidenceError(error.operation, target, code: error.code)
        }
    }

    /// Adds to a file that `write` has written: whoever reads it meanwhile finds all of the bytes
    /// or, where there was no room, none.
    public func append(_ bytes: [UInt8], to file: File) throws(EvidenceError) {
        let target = path(of: file)
        let descriptor = open(target, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw EvidenceError(.write, target, code: errno) }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        var count = 0
        repeat {
            count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        } while count < 0 && errno == EINTR
        guard count < bytes.count else { return }
        let code = count < 0 ? errno : ENOSPC
        if count > 0 { _ = ftruncate(descriptor, size) }
        throw EvidenceError(.write, target, code: code)
    }

    private static func trimmed(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    private static func create(_ path: String) throws(EvidenceError) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw EvidenceError(.createFolder, path, code: ENOENT)
        }
        var end = path.startIndex
        while end < path.endIndex {
            let next = path.index(after: end)
            end = path[next...].firstIndex(of: "/") ?? path.endIndex
            let part = String(path[..<end])
            guard mkdir(part, 0o777) != 0 else { continue }
            let code = errno
            var status = stat()
            if stat(part, &status) == 0 {
                guard status.st_mode & S_IFMT == S_IFDIR else {
                    throw EvidenceError(.createFolder, part, code: ENOTDIR)
                }
            } else {
                throw EvidenceError(.createFolder, part, code: code)
            }
        }
    }
}
