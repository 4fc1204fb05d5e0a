import Crypto
import Glibc
import Wire

/// A folder with credentials of members of a home and of remote parties, for this user only.
///
/// A file's name begins with an id in sixteen hex digits. `-suite1.cbke` and `-suite2.cbke` have
/// certificate, private key and CA public key of key establishment; `-ds.pem` and `-ds.key`,
/// `-ka.pem` and `-ka.key` are certificates and private keys for GBCS messages, which a
/// `KeyStoreFolder` reads as well; `.installcode` has an install code. Other files mean nothing.
public enum CredentialFolder {
    /// Members that one folder may have.
    static let maximumCount = 4096

    // MARK: Writing

    /// Writes everything that a member has. The folder is made if need be; throws if it is in a
    /// source tree or others can enter it, and if a file is there already, unless `replaces`. Gives
    /// the names of the files.
    @discardableResult
    public static func write(
        _ credentials: MemberCredentials, of id: EUI64, to folder: String, replaces: Bool
    ) throws -> [String] {
        let stem = Hex.string(id.rawValue, digits: 16).lowercased()
        var files: [(name: String, text: String)] = []
        for own in credentials.establishment {
            files.append(
                (
                    "\(stem)-suite\(own.suite.rawValue).cbke",
                    """
                    # For key establishment, suite \(own.suite.rawValue). Keep it secret.
                    IEEE Address: \(stem)
                    CA Public Key: \(Hex.string(own.authority.publicKey.bytes))
                    Device Implicit Cert: \(Hex.string(own.certificate.bytes))
                    Device Private Key: \(Hex.string(own.privateKey))

                    """
                ))
        }
        for (use, pair) in [("ds", credentials.signing), ("ka", credentials.agreement)] {
            guard let pair else { continue }
            files.append(("\(stem)-\(use).pem", pair.certificate.pem))
            if let key = pair.key { files.append(("\(stem)-\(use).key", key.pem)) }
        }
        if let code = credentials.installCode {
            files.append(("\(stem).installcode", "\(code)\n"))
        }
        try write(files, to: folder, replaces: replaces)
        return files.map(\.name)
    }

    static func write(
        _ files: [(name: String, text: String)], to folder: String, replaces: Bool
    ) throws {
        try checkIsOutsideTree(folder)
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw FileError.unwritable(folder, reason: String(cString: strerror(errno)))
        }
        guard Files.isFolder(folder) else {
            throw FileError.unwritable(folder, reason: "it is no folder")
        }
        try checkIsPrivate(folder, isFolder: true)
        if !replaces,
            let old = files.first(where: { access("\(folder)/\($0.name)", F_OK) == 0 })
        {
            throw FileError.unwritable(
                "\(folder)/\(old.name)", reason: "it is there already; --force replaces it")
        }
        for (name, text) in files {
            try Files.replace(
                Array(text.utf8), at: "\(folder)/\(name)", mode: 0o600, isSafe: true)
        }
    }

    /// Throws if `path`, which need not be there yet, is in a checkout of a program's sources.
    static func checkIsOutsideTree(_ path: String) throws {
        var rest = path[...]
        var resolved: String?
        while resolved == nil {
            if let real = realpath(rest.isEmpty ? "." : String(rest), nil) {
                resolved = String(cString: real)
                free(real)
            } else if let slash = rest.lastIndex(of: "/") {
                rest = slash == rest.startIndex ? "/" : rest[..<slash]
            } else {
                rest = ""
            }
        }
        let installed = (try? Installation.locate()).flatMap { realpath($0.root, nil) }
        defer { free(installed) }
        var folder = (resolved ?? "/")[...]
        while true {
            let name = folder.isEmpty ? "/" : String(folder)
            if installed.map({ String(cString: $0) }) == name
                || access("\(folder)/Package.swift", F_OK) == 0
            {
                throw KeyFileError(
                    path,
                    "it is in the source tree '\(name)', where keys would be copied with the "
                        + "sources; give a folder outside")
            }
            guard let slash = folder.lastIndex(of: "/") else { return }
            folder = folder[..<slash]
        }
    }

    static func checkIsPrivate(_ path: String, isFolder: Bool) throws {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & 0o077 != 0 else { return }
        throw KeyFileError(
            path,
            isFolder
                ? "others can enter it; 'chmod 700' it"
                : "others can read or change it; 'chmod 600' it")
    }

    // MARK: Reading

    /// What a folder has of everybody. Throws if it, or a secret in it, is open to others, and
    /// where something does not fit together.
    public static func read(_ folder: String) throws -> [EUI64: MemberCredentials] {
        guard Files.isFolder(folder) else {
            if access(folder, F_OK) != 0 { throw FileError.missing(folder) }
            throw FileError.unreadable(folder, reason: "it is no folder")
        }
        try checkIsPrivate(folder, isFolder: true)
        var materials: [EUI64: CredentialMaterial] = [:]
        for name in PrivateFolder.names(in: folder) {
            guard let id = EUI64(String(name.prefix(16))),
                let kind = Kind(rawValue: String(name.dropFirst(16)))
            else { continue }
            let path = "\(folder)/\(name)"
            if kind.isSecret { try checkIsPrivate(path, isFolder: false) }
            var material = materials[id] ?? CredentialMaterial(of: id)
            try kind.add(try Files.read(path, limit: KeyFiles.maximumSize), path, &material)
            materials[id] = material
            guard materials.count <= maximumCount else {
                throw CredentialError.content(folder, "it is of more than \(maximumCount) members")
            }
        }
        guard !materials.isEmpty else {
            throw CredentialError.content(
                folder, "it has no credentials; 'han keys import' and 'han keys device' make them")
        }
        return try materials.mapValues { try $0.credentials() }
    }

    private enum Kind: String {
        case suite1 = "-suite1.cbke"
        case suite2 = "-suite2.cbke"
        case signing = "-ds.pem"
        case signingKey = "-ds.key"
        case agreement = "-ka.pem"
        case agreementKey = "-ka.key"
        case installCode = ".installcode"

        var isSecret: Bool { self != .signing && self != .agreement }

        func add(
            _ bytes: [UInt8], _ path: String, _ material: inout CredentialMaterial
        ) throws(CredentialError) {
            switch self {
            case .suite1, .suite2: try material.addListing(bytes, path: path)
            case .signing: try material.add(certificate: bytes, for: .signing, path: path)
            case .signingKey: try material.add(key: bytes, for: .signing, path: path)
            case .agreement: try material.add(certificate: bytes, for: .agreement, path: path)
            case .agreementKey: try material.add(key: bytes, for: .agreement, path: path)
            case .installCode: try material.add(installCode: bytes, path: path)
            }
        }
    }
}
