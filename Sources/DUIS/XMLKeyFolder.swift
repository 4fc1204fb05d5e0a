import Crypto
import Glibc
import Wire

/// A folder or file of keys that cannot be used as a whole.
public enum XMLKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(String)
    case unreadable(String, reason: String)
    case unwritable(String, reason: String)
    /// It would be written over.
    case exists(String)

    public var description: String {
        switch self {
        case .missing(let path): "'\(path)' does not exist; check the name and the folder"
        case .unreadable(let path, let reason): "'\(path)' cannot be read: \(reason)"
        case .unwritable(let path, let reason): "'\(path)' cannot be written: \(reason)"
        case .exists(let path): "'\(path)' is there already; it is not written over"
        }
    }
}

extension XMLKeys {
    /// Files read of a folder.
    static let maximumCount = 20_000
    /// Of one file, in bytes.
    static let maximumSize = 65_536

    /// Every `.pem` and `.key` of the folders, in the order of their names.
    public init(folders: [String]) throws(XMLKeyError) {
        self.init()
        for folder in folders {
            var files: [(name: String, bytes: [UInt8])] = []
            for name in try Self.names(in: folder) {
                let path = "\(folder)/\(name)"
                files.append((name, try Self.read(path)))
            }
            add(XMLKeys(files: files))
        }
    }

    private static func names(in folder: String) throws(XMLKeyError) -> [String] {
        guard let stream = opendir(folder) else {
            if errno == ENOENT { throw .missing(folder) }
            throw .unreadable(folder, reason: String(cString: strerror(errno)))
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix("."), name.hasSuffix(".pem") || name.hasSuffix(".key") else {
                continue
            }
            names.append(name)
            guard names.count <= maximumCount else {
                throw .unreadable(folder, reason: "it has more than \(maximumCount) key files")
            }
        }
        return names.sorted()
    }

    private static func read(_ path: String) throws(XMLKeyError) -> [UInt8] {
        func failure(_ reason: String = String(cString: strerror(errno))) -> XMLKeyError {
            .unreadable(path, reason: "\(reason); mend that, or take it out of the folder")
        }
        // A pipe that nobody writes to must not hold everything up.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            // Its name is in the folder.
            throw errno == ENOENT ? failure("it is a link to nothing") : failure()
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure() }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw failure("it is a folder")
        default: throw failure("it is no file")
        }
        guard status.st_size <= maximumSize else {
            throw failure("it has more than \(maximumSize) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count)
            }
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else { throw failure() }
            if read == 0 { break }
            count += read
        }
        return Array(bytes[..<count])
    }
}

/// Makes certificates and keys for DUIS where none are given. The same authority always makes the
/// same for somebody.
public struct XMLKeyMaker: Sendable {
    private let issuer: CertificateIssuer

    /// With the issuing authority of `han keys ca`.
    public init(issuer: CertificateIssuer) { self.issuer = issuer }

    /// With an authority of its own, which follows from a seed.
    public init(seed: Seed) {
        var stream = SeededStream(seed.named("DUIS authority"))
        do {
            let root = try CertificateIssuer.root(
                "han test root", key: .generate(from: &stream), from: &stream)
            issuer = try root.issuer(
                "han test issuer", key: .generate(from: &stream), from: &stream)
        } catch {
            preconditionFailure("a certificate of our own cannot be read: \(error)")
        }
    }

    public func make(_ role: XMLKeys.Role, _ id: EUI64) -> XMLKeys.Entry {
        let unit = role == .dsp ? Certificate.Role.dsp : .serviceUser
        // What only the authority can make, so that nobody else makes the keys.
        let root = issuer.key.sign(
            SHA256.digest(Array("han DUIS key \(unit.rawValue)".utf8))
        ).bytes
        let seed = Seed(root[..<8].reduce(0) { $0 << 8 | UInt64($1) }).indexed(id.rawValue)
        var stream = SeededStream(seed)
        let key = P256.PrivateKey.generate(from: &stream)
        do {
            let certificate = try issuer.issue(
                to: .party(id, unit), for: .signing,
                key: key.publicKey, from: &stream)
            return XMLKeys.Entry(
                certificate: certificate, key: key, name: Self.stem(role, id) + ".pem")
        } catch {
            preconditionFailure("a certificate of our own cannot be read: \(error)")
        }
    }

    /// `dsp-xml-sign-90B3D51F30000002-ds`
    static func stem(_ role: XMLKeys.Role, _ id: EUI64) -> String {
        (role == .dsp ? "dsp-" : "") + "xml-sign-\(id)-ds"
    }

    /// Writes what `make` has made to a folder that is there: the certificate as PEM, the key as
    /// PKCS#8 in DER, which only its owner may read. Gives the names of the files.
    @discardableResult
    public static func write(
        _ entry: XMLKeys.Entry, to folder: String
    ) throws(XMLKeyError) -> [String] {
        let files = files(of: entry)
        for file in files {
            try write(
                file.bytes, to: "\(folder)/\(file.name)", mode: file.isSecret ? 0o600 : 0o644)
        }
        return files.map(\.name)
    }

    /// What `write` writes.
    public static func files(
        of entry: XMLKeys.Entry
    ) -> [(name: String, bytes: [UInt8], isSecret: Bool)] {
        let stem = entry.name.dropLast(4)
        let certificate = ("\(stem).pem", Array(entry.certificate.pem.utf8), false)
        return (entry.key.map { [("\(stem).key", $0.pkcs8, true)] } ?? []) + [certificate]
    }

    private static func write(
        _ bytes: [UInt8], to path: String, mode: mode_t
    ) throws(XMLKeyError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            if errno == EEXIST { throw .exists(path) }
            throw .unwritable(path, reason: String(cString: strerror(errno)))
        }
        var written = 0
        var isWritten = true
        while written < bytes.count, isWritten {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            isWritten = count > 0
            written += max(0, count)
        }
        isWritten = fsync(descriptor) == 0 && isWritten
        let reason = String(cString: strerror(errno))
        isWritten = close(descriptor) == 0 && isWritten
        guard isWritten else {
            unlink(path)
            throw .unwritable(path, reason: reason)
        }
    }
}
