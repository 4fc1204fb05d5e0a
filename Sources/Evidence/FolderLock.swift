import Glibc
import Synchronization

/// Keeps a folder for one run: an advisory lock (flock) on the folder itself, which leaves nothing
/// behind and ends with the process, however that ends.
final class FolderLock: Sendable {
    /// -1 once released, and where the folder cannot be locked.
    private let descriptor: Atomic<Int32>

    /// Throws if somebody else has the folder. On a file system without such locks, and in a folder
    /// that may not be read, it is nobody's.
    init(on path: String) throws(EvidenceError) {
        var descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            close(descriptor)
            descriptor = -1
            if code == EWOULDBLOCK { throw EvidenceError(.lock, path, code: code) }
        }
        self.descriptor = Atomic(descriptor)
    }

    deinit { release() }

    func release() {
        let open = descriptor.exchange(-1, ordering: .relaxed)
        if open >= 0 { close(open) }
    }
}
