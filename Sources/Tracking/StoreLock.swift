import Glibc
import Synchronization

/// Keeps a store for one writer: an advisory lock (flock) on a file beside it, which ends with the
/// process, however that ends. The file stays, for to remove it would let two in.
final class StoreLock: Sendable {
    /// -1 once released.
    private let descriptor: Atomic<Int32>

    static func file(of path: String) -> String { path + ".lock" }

    init(of path: String) throws(StoreError) {
        let file = Self.file(of: path)
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let code = errno
            let kind: StoreError.Kind =
                switch code {
                case EACCES, EPERM, EROFS: .denied
                case ENOSPC, EDQUOT: .full
                default: .failed
                }
            throw StoreError(kind, path, detail: "'\(file)': \(String(cString: strerror(code)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            var text = [UInt8](repeating: 0, count: 20)
            let count = max(0, pread(descriptor, &text, text.count, 0))
            close(descriptor)
            if code == EWOULDBLOCK {
                let holder = Int32(String(decoding: text[..<count], as: UTF8.self))
                throw StoreError(.inUse, path, detail: holder.map { "process \($0)" } ?? "")
            }
            throw StoreError(.failed, path, detail: "'\(file)' cannot be locked")
        }
        // For the message of whoever comes second; without it that only lacks the number.
        let text = Array("\(getpid())".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
        self.descriptor = Atomic(descriptor)
    }

    deinit { release() }

    func release() {
        let open = descriptor.exchange(-1, ordering: .relaxed)
        guard open >= 0 else { return }
        // Also where a child of this process has the descriptor for the moment before it becomes
        // another program.
        flock(open, LOCK_UN)
        close(open)
    }
}
