import Foundation

/// What can be said of a store's file before SQLite has it.
enum StoreFile {
    static func check(_ path: String, readOnly: Bool) throws(StoreError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let code = errno
            switch code {
            case ENOENT where readOnly: throw StoreError(.missing, path)
            case ENOENT: return
            case EACCES: throw StoreError(.denied, path, detail: words(code))
            default: throw StoreError(.failed, path, detail: words(code))
            }
        }
        if status.st_mode & S_IFMT == S_IFDIR { throw StoreError(.isFolder, path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw StoreError(.foreign, path, detail: "it is no regular file")
        }
        if readOnly, status.st_size == 0 {
            throw StoreError(.foreign, path, detail: "it is empty")
        }
        guard access(path, readOnly ? R_OK : R_OK | W_OK) == 0 else {
            throw StoreError(.denied, path, detail: words(errno))
        }
    }

    /// Makes an empty file that only its owner may read, as notices and keys' messages are in it.
    /// SQLite gives the files beside it the same mode.
    static func create(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let code = errno
            let kind: StoreError.Kind =
                switch code {
                case EACCES, EPERM, EROFS: .denied
                case ENOSPC, EDQUOT: .full
                default: .failed
                }
            throw StoreError(kind, path, detail: words(code))
        }
        close(descriptor)
    }

    private static func words(_ code: Int32) -> String {
        String(cString: strerror(code))
    }
}
