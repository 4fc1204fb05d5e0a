import Glibc

/// A folder that only this user can enter (mode 0700), for sockets, logs and flash.
public struct PrivateFolder: Sendable {
    public let path: String

    /// Where the folders of this user's homes and runs are: `$XDG_RUNTIME_DIR/han`, or
    /// `/tmp/han-UID` where that is not set.
    public static func root() throws(ChildError) -> PrivateFolder {
        let base = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? ""
        var status = stat()
        let isUsable = !base.isEmpty && stat(base, &status) == 0 && access(base, W_OK) == 0
        return try PrivateFolder(isUsable ? base + "/han" : "/tmp/han-\(geteuid())")
    }

    /// Makes the folder if need be; throws if it is anybody else's, or open to others.
    public init(_ path: String) throws(ChildError) {
        self.path = path
        var status = stat()
        // Whoever clears away what killed runs have left may take it away between the two.
        for _ in 0..<50 {
            if mkdir(path, 0o700) != 0, errno != EEXIST {
                throw ChildError("'\(path)' cannot be made: \(String(cString: strerror(errno)))")
            }
            if lstat(path, &status) == 0 { break }
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw ChildError("'\(path)' is no folder; remove it", isSetting: true)
        }
        guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw ChildError(
                "'\(path)' can be entered by others: it must be this user's own, with mode 0700; "
                    + "'chmod 700 \(path)' makes it so", isSetting: true)
        }
    }

    /// A new folder in this one.
    public func makeUnique(_ prefix: String) throws(ChildError) -> PrivateFolder {
        var template = Array((path + "/" + prefix + "-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw ChildError(
                "no folder can be made in '\(path)': \(String(cString: strerror(errno)))")
        }
        let name = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        return try PrivateFolder(name)
    }

    /// Removes the folder with the files in it and in the folders in it, one level deep.
    public func remove() {
        Self.removeContents(of: path)
        rmdir(path)
    }

    static func removeContents(of path: String, keeping kept: String? = nil) {
        for name in names(in: path) where name != kept {
            let entry = path + "/" + name
            if unlink(entry) != 0 {
                for inner in names(in: entry) { unlink(entry + "/" + inner) }
                rmdir(entry)
            }
        }
    }

    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(cString: $0.bindMemory(to: CChar.self).baseAddress!)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
