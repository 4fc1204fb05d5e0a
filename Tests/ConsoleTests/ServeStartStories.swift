import Foundation
import TestSupport
import Testing

/// How `han serve` begins: what it makes, what it takes again, and what it refuses.
@Suite struct ServeStartStories {
    typealias Served = ServeStories.Served

    /// Runs a server that is to end by itself.
    static func fail(_ arguments: [String]) async throws -> Command {
        try await blocking {
            try Command.run(
                "timeout", ["60", Served.binary, "serve"] + arguments,
                environment: ["HAN_HOME": Reference.project.path])
        }
    }

    /// One line on standard error, nothing on standard output, and this exit code.
    static func expect(
        _ arguments: [String], _ code: Int32, _ words: [String],
        _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let result = try await fail(arguments)
        let said = "\(arguments): \(result.errors)"
        #expect(result.status == code, "\(said)", sourceLocation: location)
        #expect(result.output == "", "\(said)", sourceLocation: location)
        #expect(
            result.errors.split(separator: "\n").count == 1 && result.errors.hasPrefix("han: "),
            "\(said)", sourceLocation: location)
        for part in words {
            #expect(result.errors.contains(part), "\(part), \(said)", sourceLocation: location)
        }
    }

    static func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    /// Every file of a folder with its bytes.
    static func contents(_ folder: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            files[name] = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
        }
        return files
    }

    @Test(
        "an address that is not this machine's is refused in a line, and nothing is left behind",
        arguments: [
            ("nowhere.invalid", 78, "no host of that name is known"),
            ("256.1.1.1", 78, "no host of that name is known"),
            ("192.0.2.1", 78, "Cannot assign requested address"),
        ])
    func address(name: String, code: Int32, words: String) async throws {
        let folder = try TemporaryFolder()
        let state = folder.path("deep/state")
        try await Self.expect(
            ["--state", state, "--port", "0", "--bind", name], code, ["'\(name)'", words, "--bind"])
        #expect(!FileManager.default.fileExists(atPath: folder.path("deep")))
    }

    @Test("whatever else is wrong leaves nothing behind, not even the folder")
    func nothingLeft() async throws {
        let folder = try TemporaryFolder()
        let state = folder.path("state")
        let keys = folder.path("keys")
        try FileManager.default.createDirectory(
            atPath: keys, withIntermediateDirectories: false)
        let receiver = try NoticeTests.Receiver()
        defer { receiver.stop() }
        let port = receiver.port
        for (arguments, code, words) in [
            (["--port", "\(port)"], 69, "port \(port) of 127.0.0.1 is in use"),
            (["--port", "0", "--home", "nowhere"], 66, "nowhere"),
            (["--port", "0", "--home", "standard", "--home", "standard"], 65, "'standard'"),
            (["--port", "0", "--schema", folder.path("none.xsd")], 66, "none.xsd"),
            (["--port", "0", "--keystore", folder.path("none")], 66, "none"),
            (["--port", "0", "--keystore", keys], 78, "has no key; it is to have"),
        ] as [([String], Int32, String)] {
            try await Self.expect(["--state", state] + arguments, code, [words])
            #expect(!FileManager.default.fileExists(atPath: state), "\(arguments)")
        }
    }

    @Test("a state folder that cannot be made or written is named, with the reason")
    func unwritable() async throws {
        let folder = try TemporaryFolder()
        let file = folder.path("file")
        try Data("mine".utf8).write(to: URL(filePath: file))
        let link = folder.path("link")
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: folder.path("nowhere"))
        for (place, words) in [
            (file, "'\(file)' cannot be written: it is no folder"),
            (file + "/state", "state' cannot be written: '\(file)' is no folder"),
            (link, "'\(link)' cannot be written: it is no folder"),
            ("/proc/state", "'/proc/state' cannot be written: it cannot be made: No such file"),
            // The kernel's own: nobody makes files there.
            ("/proc/self", "'/proc/self' cannot be written: "),
        ] {
            try await Self.expect(
                ["--state", place, "--port", "0"], 74, ["--state: ", words, "name a folder"])
        }
        #expect(try Data(contentsOf: URL(filePath: file)) == Data("mine".utf8))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
                == ["file", "link"])
    }

    @Test("a key store without a key that can be used says what is wrong with its files")
    func keyStore() async throws {
        let folder = try TemporaryFolder()
        let keys = folder.path("keys")
        let arguments = ["--state", folder.path("state"), "--port", "0", "--keystore", keys]
        func put(_ name: String, _ bytes: Data?) throws -> String {
            try? FileManager.default.removeItem(atPath: keys)
            let path = "\(keys)/\(name)"
            try FileManager.default.createDirectory(
                atPath: bytes == nil ? path : keys, withIntermediateDirectories: true)
            if let bytes { try bytes.write(to: URL(filePath: path)) }
            return path
        }
        for name in ["90b3d51f30010000-ds.key", "xml-sign-90B3D51F30010000-ds.pem", "a.der"] {
            _ = try put(name, Data("no key at all".utf8))
            try await Self.expect(
                arguments, 78, ["'\(keys)' has no key that can be used: \(name): "])
            let path = try put(name, nil)
            try await Self.expect(
                arguments, 74, ["'\(path)' cannot be read: it is a folder", "take it out"])
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: "nowhere")
            try await Self.expect(
                arguments, 74, ["'\(path)' cannot be read: it is a link to nothing"])
        }
        #expect(!FileManager.default.fileExists(atPath: folder.path("state")))
    }

    @Test("keys that are made are for their owner alone, and are taken again by the next start")
    func keysStay() async throws {
        let folder = try TemporaryFolder()
        let state = folder.path("state")
        let arguments = ["--pace", "real", "--bind", "0.0.0.0"]
        let first = try await Served(folder, arguments)
        #expect(await first.end() == 0)
        #expect(try Self.mode(state) == 0o700)
        #expect(try Self.mode(state + "/keys") == 0o700)
        for name in ["token", "tracking.sqlite"] {
            #expect(try Self.mode("\(state)/\(name)") == 0o600, "\(name)")
        }
        let made = try Self.contents(state + "/keys")
        let secret = made.keys.filter { $0.hasSuffix(".key") }
        // The DSP, three users who sign XML, and two suppliers' two keys for messages.
        #expect(secret.count == 8, "\(secret)")
        for name in secret { #expect(try Self.mode("\(state)/keys/\(name)") == 0o600, "\(name)") }
        #expect(made.keys.allSatisfy { $0.hasSuffix(".key") || $0.hasSuffix(".pem") })
        let token = try String(contentsOfFile: state + "/token", encoding: .utf8)
        #expect(first.said.contains { $0.contains(token.dropLast()) })

        // Somebody has opened one to everybody, and removed another.
        let names = secret.sorted()
        chmod("\(state)/keys/\(names[0])", 0o644)
        try FileManager.default.removeItem(atPath: "\(state)/keys/\(names[1])")
        let second = try await Served(folder, arguments, run: 2)
        #expect(await second.end() == 0)
        #expect(try Self.contents(state + "/keys") == made)
        for name in secret { #expect(try Self.mode("\(state)/keys/\(name)") == 0o600, "\(name)") }
        #expect(try String(contentsOfFile: state + "/token", encoding: .utf8) == token)
        #expect(!second.said.contains { $0.contains(token.dropLast()) })

        // A key that is not whole, or another, or none, is not written over.
        for name in [names[0], try #require(made.keys.sorted().first { $0.hasSuffix(".pem") })] {
            let path = "\(state)/keys/\(name)"
            let bytes = try #require(made[name])
            for (other, words) in [
                (bytes.prefix(bytes.count / 2), "ends after \(bytes.count / 2) of \(bytes.count)"),
                (Data(), "ends after 0 of"),
                (Data(bytes.map { $0 ^ 1 }), "is not the file that is made there"),
                (bytes + bytes, "is not the file that is made there"),
            ] {
                try other.write(to: URL(filePath: path))
                try await Self.expect(
                    ["--state", state, "--port", "0"], 78, ["'\(path)'", words, "move it away"])
                #expect(try Data(contentsOf: URL(filePath: path)) == other)
            }
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false)
            try await Self.expect(
                ["--state", state, "--port", "0"], 74,
                ["the key '\(path)' cannot be read: it is a folder"])
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: folder.path("nowhere"))
            try await Self.expect(
                ["--state", state, "--port", "0"], 74,
                ["the key '\(path)' cannot be read: it is a link to nothing"])
            try FileManager.default.removeItem(atPath: path)
            try bytes.write(to: URL(filePath: path))
        }
        #expect(try Self.contents(state + "/keys") == made)
    }

    @Test("homes of the store that are not served now are named, and what waits there is not lost")
    func absentHomes() async throws {
        let folder = try TemporaryFolder()
        let both = ["--pace", "real", "--home", "standard", "--home", "new-hub"]
        let first = try await Served(folder, both)
        #expect(!first.said.contains { $0.contains("not served") })
        #expect(await first.end() == 0)

        let second = try await Served(folder, ["--pace", "real"], run: 2)
        let lines = second.said.filter { $0.contains("not served now") }
        #expect(lines.count == 1)
        let line = lines.first ?? ""
        #expect(line.hasPrefix("han: the state folder also has the home 'new-hub'"), "\(line)")
        #expect(line.contains("stays as it is") && line.contains("--home"), "\(line)")
        #expect(await second.end() == 0)

        let third = try await Served(folder, both, run: 3)
        let request = try await third.request(3_001, device: "0247420000000203")
        #expect(ServeStories.code(try await third.post(request)) == "I99")
        #expect(await third.end() == 0)
        try await Self.expect(
            ["--state", folder.path("state"), "--port", "0"], 78,
            ["1 request for devices", "would be given up: 'new-hub'", "--home", "--state"])

        let last = try await Served(folder, both, run: 4)
        let list = try await last.client.get("/api/control/v1/requests").text
        #expect(list.contains(":3001\""))
        #expect(await last.end() == 0)
    }
}
