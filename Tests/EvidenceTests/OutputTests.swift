import Evidence
import Foundation
import Radio
import TestSupport
import Testing
import Wire

@Suite("The output folder")
struct OutputTests {
    private func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    @Test("a folder that does not exist is made, with those above it")
    func created() throws {
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path("a/b//c/"))
        #expect(folder.path(of: .trace) == scratch.path("a/b//c") + "/trace.pcapng")
        try folder.write([1, 2], to: .summary)
        #expect(try names(scratch.path("a/b/c")) == ["summary.json"])
    }

    @Test("an earlier run's four files go, and everything else stays as it was")
    func replaced() throws {
        let scratch = try TemporaryFolder()
        let four = ["events.jsonl", "summary.json", "trace.pcapng", "zigbee_pc_keys"]
        for name in four + ["notes.txt", "trace.pcapng.bak"] {
            try Data("old".utf8).write(to: scratch.url.appending(path: name))
        }
        let folder = try OutputFolder(preparing: scratch.path)
        #expect(try names(scratch.path) == ["notes.txt", "trace.pcapng.bak"])

        let recorder = try Recorder(roster: roster, start: start, steps: [], folder: folder)
        try recorder.finish()
        try folder.write(WiresharkKeys.table(Sealed.keys), to: .keys)
        try folder.write(Array("{}".utf8), to: .summary)
        #expect(try names(scratch.path) == (four + ["notes.txt", "trace.pcapng.bak"]).sorted())
        let notes = try Data(contentsOf: scratch.url.appending(path: "notes.txt"))
        #expect(notes == Data("old".utf8))
    }

    @Test("a link of an earlier file's name is replaced, not followed")
    func link() throws {
        let scratch = try TemporaryFolder()
        let precious = scratch.path("precious")
        try Data("precious".utf8).write(to: URL(filePath: precious))
        let out = scratch.path("out")
        try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(
            atPath: out + "/trace.pcapng", withDestinationPath: precious)
        let folder = try OutputFolder(preparing: out)
        let recorder = try Recorder(roster: roster, start: start, steps: [], folder: folder)
        try recorder.finish()
        #expect(try Data(contentsOf: URL(filePath: precious)) == Data("precious".utf8))
    }

    @Test("if one of the four cannot be replaced, none is removed")
    func allOrNothing() throws {
        let scratch = try TemporaryFolder()
        try Data("old".utf8).write(to: scratch.url.appending(path: "summary.json"))
        try FileManager.default.createDirectory(
            at: scratch.url.appending(path: "trace.pcapng"), withIntermediateDirectories: false)
        let error = try #require(throws: EvidenceError.self) {
            try OutputFolder(preparing: scratch.path)
        }
        #expect(error == EvidenceError(.remove, scratch.path("trace.pcapng"), code: EISDIR))
        #expect(try names(scratch.path) == ["summary.json", "trace.pcapng"])
    }

    @Test("a folder is one run's alone until it lets go of it, and the lock leaves nothing behind")
    func locked() throws {
        let scratch = try TemporaryFolder()
        let first = try OutputFolder(preparing: scratch.path)
        try first.write([1], to: .summary)
        let error = try #require(throws: EvidenceError.self) {
            try OutputFolder(preparing: scratch.path)
        }
        #expect(error == EvidenceError(.lock, scratch.path, code: EWOULDBLOCK))
        #expect(error.description.contains("another run is writing to it"))
        #expect(try names(scratch.path) == ["summary.json"])
        first.release()
        let second = try OutputFolder(preparing: scratch.path)
        #expect(try names(scratch.path).isEmpty)
        second.release()
    }

    @Test("a path through a file is an error that names the file")
    func notAFolder() throws {
        let scratch = try TemporaryFolder()
        try Data().write(to: scratch.url.appending(path: "file"))
        let error = try #require(throws: EvidenceError.self) {
            try OutputFolder(preparing: scratch.path("file/out"))
        }
        #expect(error == EvidenceError(.createFolder, scratch.path("file"), code: ENOTDIR))
        #expect(
            error.description
                == "cannot create the folder '\(scratch.path("file"))': Not a directory; "
                + "move what is there away, or name another folder with --out")
    }

    @Test("a folder that cannot be made is an error, not a trap", arguments: ["/proc/han", ""])
    func unwritable(path: String) throws {
        // /proc takes no folders, not even from root, for whom permissions are no obstacle.
        let error = try #require(throws: EvidenceError.self) {
            try OutputFolder(preparing: path)
        }
        #expect(error.operation == .createFolder)
        #expect(error.path == path)
    }

    @Test("a folder that goes away between preparing and recording is an error that names the file")
    func goneAway() throws {
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path("out"))
        try FileManager.default.removeItem(atPath: folder.path)
        let error = try #require(throws: EvidenceError.self) {
            try Recorder(roster: roster, start: start, steps: [], folder: folder)
        }
        #expect(error == EvidenceError(.create, folder.path(of: .trace), code: ENOENT))
        #expect(throws: EvidenceError(.create, folder.path(of: .keys) + ".part", code: ENOENT)) {
            try folder.write([], to: .keys)
        }
    }

    @Test("a full disk is reported once, at the end, and the run goes on to the end")
    func fullDisk() throws {
        let scratch = try TemporaryFolder()
        let trouble = FirstError()
        let log = try OutputFile(creating: scratch.path("events"), reportingTo: trouble)
        let full = OutputFile(
            descriptor: open("/dev/full", O_WRONLY), path: "trace", reportingTo: trouble)
        let recorder = Recorder(
            roster: roster, start: start, steps: [], trace: full, log: log, trouble: trouble)
        for number in UInt64(1)...5_000 {
            let record = frame(number, Sealed.conversation[3])
            recorder.record(frame: record)
            recorder.record(event: dropped(number, by: 1, .receiverOff, at: record.end))
        }
        #expect(throws: EvidenceError(.write, "trace", code: ENOSPC)) { try recorder.finish() }
        #expect(throws: EvidenceError(.write, "trace", code: ENOSPC)) { try recorder.finish() }
        #expect(recorder.frames == 5_000)
        let text = try Data(contentsOf: scratch.url.appending(path: "events"))
        #expect(text.count { $0 == 0x0A } == 5_000)
    }

    @Test("what is written is what was given, across many times the buffer's size")
    func buffering() throws {
        let scratch = try TemporaryFolder()
        let trouble = FirstError()
        let file = try OutputFile(creating: scratch.path("file"), reportingTo: trouble)
        var expected: [UInt8] = []
        for round in 0..<9_000 {
            let bytes = (0..<round % 131).map { UInt8(truncatingIfNeeded: $0 &* round) }
            file.put(bytes)
            file.put(UInt32(round))
            expected += bytes
            expected += (0..<4).map { UInt8(truncatingIfNeeded: round >> (8 * $0)) }
        }
        let large = [UInt8](repeating: 0xA5, count: 3 * OutputFile.bufferSize + 1)
        file.put(large)
        file.close()
        #expect(trouble.error == nil)
        let written = [UInt8](try Data(contentsOf: scratch.url.appending(path: "file")))
        #expect(written == expected + large)
    }
}
