import Foundation

/// The reference material beside the project, which some tests need and a clone may lack.
public enum Reference {
    /// The project's own folder.
    public static let project = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// `HAN_REFERENCE`, or `../shared/reference` from the project; nil if it is not there.
    public static let folder: URL? = {
        let named = ProcessInfo.processInfo.environment["HAN_REFERENCE"].map { URL(filePath: $0) }
        let place = named ?? project.appending(path: "../shared/reference").standardizedFileURL
        return FileManager.default.fileExists(atPath: place.path) ? place : nil
    }()

    /// The line with which a test that needs the reference skips.
    public static let absent =
        "needs the reference material: set HAN_REFERENCE or put it at ../shared/reference"
}
