import Devices
import Glibc

/// One file of the library, as `han profile list` shows it.
public struct ProfileListing: Hashable, Sendable {
    public var kind: ProfileKind
    public var name: String
    public var path: String
    /// The file's own words; empty if it cannot be read.
    public var title: String
    /// Why the file cannot be read at all. Nil does not say that all of it is right: `validate`
    /// does.
    public var problem: String?
}

/// What a file that was found right describes.
public struct ValidProfile: Hashable, Sendable {
    public var kind: ProfileKind
    /// `a home with 4 devices`
    public var summary: String
}

extension ProfileLibrary {
    /// All files of the library by kind and name. A broken one is listed with its problem.
    public func list() -> [ProfileListing] {
        var listings: [ProfileListing] = []
        for kind in ProfileKind.allCases {
            for name in names(of: kind) {
                var listing = ProfileListing(
                    kind: kind, name: name, path: path(kind, name), title: "")
                do {
                    listing.title = try title(of: try open(kind, name))
                } catch {
                    listing.problem = "\(error)"
                }
                listings.append(listing)
            }
        }
        return listings
    }

    /// The paths of what the library has of this name, of whatever kind; the text itself, if it has
    /// none, or if it is a file's path.
    public func paths(_ text: String) -> [String] {
        guard Self.isName(text), !Self.isPath(text), access(text, F_OK) != 0 else { return [text] }
        let paths = ProfileKind.allCases.map { path($0, text) }.filter { access($0, F_OK) == 0 }
        return paths.isEmpty ? [text] : paths
    }

    private func title(of file: ProfileFile) throws(ProfileError) -> String {
        do {
            return try file.top.map().required("title").oneLine()
        } catch {
            throw .content(error)
        }
    }

    /// Reads a file of any kind whole, and all that it refers to.
    public func validate(_ path: String) throws(ProfileError) -> ValidProfile {
        let file = try ProfileFile(path: path)
        do {
            return try validate(file)
        } catch {
            throw .content(error)
        }
    }

    /// The same for bytes; `path` is their file's name in errors, and what they refer to is
    /// looked up beside it.
    public func validate(_ bytes: [UInt8], path: String) throws(YAMLError) -> ValidProfile {
        try validate(ProfileFile(parsing: bytes, path: path))
    }

    private func validate(_ file: ProfileFile) throws(YAMLError) -> ValidProfile {
        let summary: String
        switch file.kind {
        case .device:
            let profile = try DeviceLoader.load(file)
            summary =
                "a device profile, \(profile.type.rawValue), "
                + Self.count(profile.firmware.count, "range") + " of firmware"
        case .hub:
            let profile = try HubLoader.load(file)
            summary =
                "a hub profile, " + Self.count(profile.firmware.count, "range") + " of firmware"
        case .home:
            let home = try HomeLoader(library: self, file: file).load()
            summary = "a home with " + Self.count(home.devices.count, "device")
        case .scenario:
            let story = try ScenarioLoader(library: self, file: file).load()
            summary =
                "a scenario with " + Self.count(story.scenario.steps.count, "step")
                + " in the home '\(story.home.name)'"
        case .dcc:
            let profile = try DCCLoader.load(file)
            summary =
                "the settings of a DCC with " + Self.count(profile.settings.users.count, "user")
        }
        return ValidProfile(kind: file.kind, summary: summary)
    }

    /// All fields that files of a kind may have.
    public static func fields(of kind: ProfileKind) -> [ProfileField] {
        switch kind {
        case .device: DeviceLoader.schema.fields
        case .hub: HubLoader.schema.fields
        case .home: HomeLoader.schema.fields
        case .scenario: ScenarioLoader.schema.fields
        case .dcc: DCCLoader.schema.fields
        }
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
