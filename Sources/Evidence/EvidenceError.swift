import Glibc

/// A file or folder of the evidence that could not be made, written or removed.
public struct EvidenceError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Operation: String, Sendable {
        case createFolder = "create the folder"
        case create
        case write
        case close
        case rename
        case remove
        /// Somebody else is writing to the folder.
        case lock = "use the folder"
    }

    public var operation: Operation
    /// As the user gave it, with the file's name after it.
    public var path: String
    /// The `errno` of the system call.
    public var code: Int32

    public init(_ operation: Operation, _ path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// What the system says of `code`, like `No space left on device`.
    public var reason: String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }

    public var description: String {
        if operation == .lock {
            return "cannot \(operation.rawValue) '\(path)': another run is writing to it; "
                + "wait for its end, or name another folder with --out"
        }
        return "\(cause); \(advice)"
    }

    /// The same without what to do.
    public var cause: String { "cannot \(operation.rawValue) '\(path)': \(reason)" }

    private var advice: String {
        switch code {
        case ENOSPC, EDQUOT, EFBIG: "free some space, or name another folder with --out"
        case EACCES, EPERM, EROFS: "name a folder that you may write to with --out"
        case ENOTDIR, EEXIST, EISDIR: "move what is there away, or name another folder with --out"
        default: "name another folder with --out"
        }
    }
}
