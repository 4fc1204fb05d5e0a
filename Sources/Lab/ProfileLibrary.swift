import Devices
import Glibc
import Wire

/// What a file in the library describes.
public enum ProfileKind: String, CaseIterable, Hashable, Sendable {
    case device, hub, home, scenario, dcc

    /// The library's folder with files of this kind.
    public var folder: String { self == .dcc ? rawValue : rawValue + "s" }
}

/// Why a profile, a home or a scenario cannot be used.
public enum ProfileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file that the caller named is missing or cannot be read.
    case file(FileError)
    /// The library has no file of this kind under the name that the caller gave.
    case unknownName(ProfileKind, name: String, folder: String, known: [String])
    /// What stands in a file is wrong, be it the one named or one that it refers to.
    case content(YAMLError)

    public var description: String {
        switch self {
        case .file(let error): return error.description
        case .content(let error): return error.description
        case .unknownName(let kind, let name, let folder, let known):
            var text = "no \(kind.rawValue) is called '\(YAMLField.shortened(name))' in '\(folder)'"
            if let near = Suggestion.nearest(to: name, among: known) {
                text += "; did you mean '\(near)'?"
            } else if !known.isEmpty {
                text += "; there are: \(YAMLField.shortened(known, limit: 20))"
            }
            return text + "; a file elsewhere is given by its path, such as './name.yaml'"
        }
    }
}

/// The devices, hubs, homes, scenarios and DCCs of a folder such as `Profiles/`, and files
/// elsewhere that use them.
///
/// A name stands for `<folder>/<kind>s/<name>.yaml` (`<folder>/dcc/<name>.yaml`). What has a slash
/// in it or ends in `.yaml` or `.yml` is the path of a file. A name or a path within a file is
/// looked up beside that file first; a name then in the library.
public struct ProfileLibrary: Sendable {
    public let folder: String
    /// The folder with `manifest.yaml` and `keys/`.
    public let firmware: String

    /// `firmware` is the folder `Firmware` beside the library if it is not given.
    public init(folder: String, firmware: String? = nil) {
        self.folder = folder
        self.firmware = firmware ?? folder + "/../Firmware"
    }

    public init(_ installation: Installation) {
        self.init(folder: installation.profiles, firmware: installation.firmware)
    }

    /// A device profile by name or path.
    public func device(_ name: String) throws(ProfileError) -> DeviceProfile {
        let file = try open(.device, name)
        return try content { () throws(YAMLError) in try DeviceLoader.load(file) }
    }

    /// A hub profile by name or path.
    public func hub(_ name: String) throws(ProfileError) -> HubProfile {
        let file = try open(.hub, name)
        return try content { () throws(YAMLError) in try HubLoader.load(file) }
    }

    /// A home by name or path, with the profiles and keys that it names.
    public func home(_ name: String) throws(ProfileError) -> Home {
        let file = try open(.home, name)
        return try content { () throws(YAMLError) in
            try HomeLoader(library: self, file: file).load()
        }
    }

    /// A scenario by name or path, checked against its home and the manifest. Its `home` can be
    /// given to `home(_:)`.
    public func scenario(_ name: String) throws(ProfileError) -> Scenario {
        try story(name).scenario
    }

    /// A scenario by name or path, and its home.
    public func story(_ name: String) throws(ProfileError) -> (scenario: Scenario, home: Home) {
        let file = try open(.scenario, name)
        return try content { () throws(YAMLError) in
            try ScenarioLoader(library: self, file: file).load()
        }
    }

    /// The settings of a DCC, by name or path.
    public func dcc(_ name: String) throws(ProfileError) -> DCCProfile {
        let file = try open(.dcc, name)
        return try content { () throws(YAMLError) in try DCCLoader.load(file) }
    }

    private func content<T>(
        _ body: () throws(YAMLError) -> T
    ) throws(ProfileError) -> T {
        do {
            return try body()
        } catch {
            throw .content(error)
        }
    }
}

// MARK: - Finding files

/// A file whose kind is known and whose fields are not read yet.
struct ProfileFile {
    let path: String
    /// The file's name without its ending.
    let name: String
    let kind: ProfileKind
    let top: YAMLField

    /// The folder that it is in; `.` for the current one.
    var folder: String { Self.folder(of: path) }

    init(path: String) throws(ProfileError) {
        guard !path.utf8.contains(0) else { throw .file(.missing(YAMLField.shortened(path))) }
        let bytes: [UInt8]
        do {
            bytes = try Files.read(path, limit: YAMLReader.maximumSize)
        } catch {
            throw .file(error)
        }
        do {
            try self.init(parsing: bytes, path: path)
        } catch {
            throw .content(error)
        }
    }

    init(parsing bytes: [UInt8], path: String) throws(YAMLError) {
        self.path = path
        name = Self.name(of: path)
        top = try YAMLReader.parse(bytes, file: path)
        let map = try top.map()
        guard let field = try map.optional("kind") else {
            throw top.error(
                "the field 'kind' is missing; it says what the file describes: "
                    + ProfileKind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        kind = try field.choice()
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func name(of path: String) -> String {
        let last = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
        for ending in [".yaml", ".yml"] where last.hasSuffix(ending) && last.count > ending.count {
            return String(last.dropLast(ending.count))
        }
        return String(last)
    }
}

extension ProfileLibrary {
    /// True for what stands for a file rather than for a name in the library.
    static func isPath(_ name: String) -> Bool {
        name.contains("/") || name.hasSuffix(".yaml") || name.hasSuffix(".yml")
    }

    /// Whether text can be the name of a file in the library; nothing else is looked for.
    static func isName(_ text: String) -> Bool {
        (1...100).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                    UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }

    func path(_ kind: ProfileKind, _ name: String) -> String {
        "\(folder)/\(kind.folder)/\(name).yaml"
    }

    /// What the caller named.
    func open(_ kind: ProfileKind, _ name: String) throws(ProfileError) -> ProfileFile {
        guard Self.isPath(name) else {
            if Self.isName(name), let file = try openIfThere(path(kind, name)) {
                return try checked(file, is: kind)
            }
            throw .unknownName(
                kind, name: name, folder: "\(folder)/\(kind.folder)", known: names(of: kind))
        }
        return try checked(try ProfileFile(path: name), is: kind)
    }

    /// What a field of a file names: beside that file first, then in the library.
    func open(
        _ kind: ProfileKind, from field: YAMLField, of file: ProfileFile
    ) throws(YAMLError) -> ProfileFile {
        let name = try field.reference()
        do {
            if Self.isPath(name) {
                let beside = name.hasPrefix("./") ? String(name.dropFirst(2)) : name
                let path = name.hasPrefix("/") ? name : "\(file.folder)/\(beside)"
                return try checked(try ProfileFile(path: path), is: kind)
            }
            if Self.isName(name) {
                // A scenario and a home, say, may share a name: another kind is not what is meant.
                if let beside = try openIfThere("\(file.folder)/\(name).yaml"), beside.kind == kind
                {
                    return beside
                }
                if let found = try openIfThere(path(kind, name)) {
                    return try checked(found, is: kind)
                }
            }
        } catch .content(let error) {
            throw error
        } catch {
            throw field.error("\(error)")
        }
        let missing = ProfileError.unknownName(
            kind, name: name, folder: "\(folder)/\(kind.folder)", known: names(of: kind))
        throw field.error("\(missing)")
    }

    private func checked(
        _ file: ProfileFile, is kind: ProfileKind
    ) throws(ProfileError) -> ProfileFile {
        guard file.kind != kind else { return file }
        throw .content(
            file.top.error("expected a \(kind.rawValue), found a \(file.kind.rawValue)"))
    }

    private func openIfThere(_ path: String) throws(ProfileError) -> ProfileFile? {
        do {
            return try ProfileFile(path: path)
        } catch .file(.missing) {
            return nil
        }
    }

    /// The names that the library has of one kind, sorted.
    func names(of kind: ProfileKind) -> [String] {
        guard let stream = opendir("\(folder)/\(kind.folder)") else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard file.hasSuffix(".yaml") else { continue }
            let name = ProfileFile.name(of: file)
            if Self.isName(name) { names.append(name) }
        }
        return names.sorted()
    }
}
