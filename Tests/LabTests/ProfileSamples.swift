import Foundation
import Lab

/// The shipped profiles, and files of a test's own.
enum ProfileSamples {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path(percentEncoded: false)
    static let folder = root + "Profiles"
    static let library = ProfileLibrary(folder: folder, firmware: root + "Firmware")

    /// Every shipped file, by its path within the library.
    static let files: [String] = library.list().map { listing in
        "\(listing.kind.folder)/\(listing.name).yaml"
    }

    static func text(_ file: String) throws -> String {
        try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
    }

    /// What validating `text` in the place of a shipped file says: `fine`, or the error.
    static func verdict(on text: String, as file: String) -> String {
        do {
            _ = try library.validate(Array(text.utf8), path: "\(folder)/\(file)")
            return "fine"
        } catch {
            var error = error
            error.file = error.file.replacingOccurrences(of: folder + "/", with: "")
            return error.description
        }
    }

    /// A folder with files of the given names, removed after `body`.
    static func withFolder(
        _ files: KeyValuePairs<String, String>, _ body: (String) throws -> Void
    ) throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "han-test-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let file = folder.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        try body(folder.path(percentEncoded: false))
    }
}

extension String {
    /// The text with the first `old` replaced; it must be there.
    func changing(_ old: String, to new: String) throws -> String {
        guard let range = range(of: old) else { throw NotThere(text: old) }
        return replacingCharacters(in: range, with: new)
    }

    struct NotThere: Error { var text: String }
}
