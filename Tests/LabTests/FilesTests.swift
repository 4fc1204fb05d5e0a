import Foundation
import Lab
import TestSupport
import Testing
import Wire

@Suite("Files that are replaced at once")
struct FilesTests {
    private static func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test("what a process left behind that was killed is used up by the next one")
    func leftover() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("flash")
        try Data("the half of a longer file".utf8).write(to: URL(filePath: path + ".part"))
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644], ofItemAtPath: path + ".part")
        try Files.replace([1, 2, 3], at: path, mode: 0o600, isSafe: true)
        #expect(try Files.read(path, limit: 100) == [1, 2, 3])
        // It was open to everybody, which this must not be.
        #expect(try Self.mode(path) == 0o600)
        try Files.replace([4], at: path, mode: 0o600)
        #expect(try Files.read(path, limit: 100) == [4])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["flash"])
    }

    @Test("a link in the place of the unfinished file is not followed")
    func link() throws {
        let folder = try TemporaryFolder()
        let (path, other) = (folder.path("flash"), folder.path("other"))
        try Files.write([7], to: other)
        try FileManager.default.createSymbolicLink(
            atPath: path + ".part", withDestinationPath: other)
        #expect(throws: FileError.self) { try Files.replace([1], at: path) }
        #expect(try Files.read(other, limit: 100) == [7])
    }

    @Test("several that write the same file at once leave one of them whole, and nothing else")
    func several() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("flash")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 as Range<UInt8> {
                group.addTask {
                    try Files.replace([UInt8](repeating: number, count: 10_000), at: path)
                }
            }
            try await group.waitForAll()
        }
        let bytes = try Files.read(path, limit: 20_000)
        #expect(bytes.count == 10_000 && Set(bytes).count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["flash"])
    }
}

@Suite("Folders for one's own")
struct PrivateFolderTests {
    @Test("are made with those that they are in, for their owner alone")
    func made() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("a/b")
        try Files.makePrivateFolder(path)
        for made in [path, folder.path("a")] {
            let attributes = try FileManager.default.attributesOfItem(atPath: made)
            #expect(attributes[.posixPermissions] as? Int == 0o700)
        }
        // One that is there stays as it is.
        try Files.makePrivateFolder(path)
        try Files.makePrivateFolder(folder.path + "/")
        #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
    }

    @Test("that cannot be made leave nothing behind of those that they are in")
    func failed() throws {
        let folder = try TemporaryFolder()
        let file = folder.path("file")
        try Data("mine".utf8).write(to: URL(filePath: file))
        for (path, reason) in [
            (file, "it is no folder"), (file + "/x", "'\(file)' is no folder"),
            (
                folder.path("a/b/") + String(repeating: "x", count: 300),
                "it cannot be made: File name too long"
            ),
        ] {
            #expect(throws: FileError.unwritable(path, reason: reason)) {
                try Files.makePrivateFolder(path)
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["file"])
    }
}

@Suite("Members of a home")
struct HomeCastTests {
    @Test("have the keys of the seed that they are made with")
    func seeds() throws {
        let cast = HomeCast(Homes.home([Homes.device(.esme)]))
        func keys(_ seed: UInt64) throws -> [[UInt8]] {
            let member = cast.makeMember(1, start: Homes.start, seed: Seed(seed))
            let identity = try #require(member.device?.identity)
            return [
                try #require(identity.messages?.signing.publicKey.x963),
                try #require(identity.credentials?.certificate.bytes),
            ]
        }
        let (first, second, again) = (try keys(1), try keys(2), try keys(1))
        #expect(first[0] != second[0] && first[1] != second[1])
        #expect(first == again)
    }
}
