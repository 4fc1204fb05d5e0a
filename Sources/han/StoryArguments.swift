import ArgumentParser
import Lab

/// The arguments by which a run's parts, each a process, come to the same home and scenario as the
/// run itself. For `han` only: people give them to `han run`.
struct StoryArguments: ParsableArguments {
    @Option(help: .hidden)
    var story: String?

    @Option(help: .hidden, transform: RoleFileArgument.read)
    var storyImage: [RoleFileArgument] = []

    @Option(help: .hidden, transform: RoleFileArgument.read)
    var storyCertificate: [RoleFileArgument] = []

    @Flag(help: .hidden)
    var storyKeepsIdentity = false

    /// The scenario and its home as the run has them; nil if there is none.
    func cast(_ installation: Installation) throws -> RunCast? {
        guard let story else { return nil }
        return try Self.cast(
            story, images: storyImage, certificates: storyCertificate,
            keepsIdentity: storyKeepsIdentity, installation)
    }

    static func cast(
        _ name: String, images: [RoleFileArgument], certificates: [RoleFileArgument],
        keepsIdentity: Bool, _ installation: Installation
    ) throws -> RunCast {
        let story = try ProfileLibrary(installation).reading { try $0.story(name) }
        var cast = RunCast(
            home: story.home, scenario: story.scenario,
            manifest: try Manifest.load(folder: installation.firmware))
        try cast.trust(certificates)
        try cast.replace(images, keepingIdentity: keepsIdentity)
        return cast
    }

    static func arguments(
        _ name: String, images: [RoleFileArgument], certificates: [RoleFileArgument],
        keepsIdentity: Bool
    ) -> [String] {
        ["--story", name]
            + images.flatMap { ["--story-image", "\($0.role)=\($0.path)"] }
            + certificates.flatMap { ["--story-certificate", "\($0.role)=\($0.path)"] }
            + (keepsIdentity ? ["--story-keeps-identity"] : [])
    }
}
