import AirBus
import Foundation
import Testing
import Wire

/// What goes wrong around homes of processes, and what people are told of it.
@Suite("Trouble with homes of processes", .serialized)
struct HomeTroubleTests {
    private static let hub = EUI64(0x0247_4200_0000_0100)
    private static let esme = EUI64(0x0247_4200_0000_0101)

    /// Has files grow to so many KiB at most, which is how a full disk looks to those who write.
    private static func limited(_ size: Int, _ arguments: [String]) -> [String] {
        ["-c", "ulimit -f \(size); exec \"$0\" \"$@\"", RunHan.binary] + arguments
    }

    @Test("evidence that cannot be written is told at once, and makes the end of a home a failure")
    func fullDisk() throws {
        let homes = try RuntimeFolder()
        // Flash files that are there already need no more room.
        let flash = homes.path + "/flash"
        let first = try homes.han(["up", "--detach", "--pace", "x50", "--flash", flash])
        try #require(first.code == 0, "\(first.errors)")
        #expect(try homes.han(["down"]).code == 0)

        let out = homes.path + "/out"
        let arguments = ["up", "--pace", "virtual", "--flash", flash, "--out", out]
        let detached = try RunHan.run(
            "/bin/bash", Self.limited(200, arguments + ["--detach"]),
            environment: homes.environment)
        try #require(detached.code == 0, "\(detached.errors)")
        try homes.wait("ps shows it") {
            let shown = try homes.han(["ps"])
            return shown.code == 0 && shown.errors.contains("evidence of the home 'standard' is")
        }
        for log in ["AIR", "supervisor"] {
            let text = try String(
                contentsOfFile: homes.folder(of: "standard") + "/\(log).log", encoding: .utf8)
            #expect(text.contains("incomplete") && text.contains("cannot write '\(out)"), "\(log)")
        }
        // It goes on without.
        #expect(try homes.row("ESME").state == "onAir")
        let down = try homes.han(["down"])
        #expect(down.code == 74 && down.errors.contains("the evidence is incomplete"))
        #expect(down.output.contains("has ended") && homes.remains == [])

        let shown = try Background(
            Self.limited(200, arguments), of: "/bin/bash", environment: homes.environment)
        try homes.wait("a line says it") { shown.errors.contains("the evidence is incomplete") }
        kill(shown.pid, SIGTERM)
        #expect(try shown.code() == 74)
        #expect(homes.remains == [])
    }

    @Test("an image is not begun while somebody else's is on its way to the hub")
    func twoSenders() throws {
        let homes = try RuntimeFolder()
        let out = homes.path + "/out"
        let up = try homes.han(["up", "--detach", "--pace", "x50", "--out", out])
        try #require(up.code == 0, "\(up.errors)")
        let endpoints = try AirEndpoints(parsing: "ipc://\(homes.folder(of: "standard"))/air")
        let client = try ControlClient(endpoints: endpoints, patience: 20)
        let parts = 30
        try client.orderPatiently(
            .wan(
                .beginImage(
                    delivery: 7, targets: [Self.esme], size: UInt32(parts), installableFrom: [])))
        let other = try ControlClient(endpoints: endpoints, patience: 20)
        let begin = ControlRequest.Body.wan(
            .beginImage(delivery: 8, targets: [Self.esme], size: 1, installableFrom: []))
        let refusal = #expect(throws: ControlError.self) { try other.order(begin) }
        #expect(refusal?.description.contains("delivery 7") == true)
        let empty = #expect(throws: ControlError.self) {
            try other.order(.inject(channel: 11, psdu: FrameBuffer()))
        }
        #expect(empty?.description.contains("at least one byte") == true)

        let sender = try Background(
            ["ctl", "send", "gsme-2", "--to", "GSME", "--wait"], environment: homes.environment)
        for part in 0..<parts {
            try client.order(.wan(.imageChunk(delivery: 7, offset: UInt32(part), bytes: [0])))
            usleep(50_000)
        }
        #expect(sender.output.isEmpty)
        try client.order(.wan(.endImage(delivery: 7)))
        #expect(try sender.code() == 0, "\(sender.errors)")
        #expect(sender.output.contains("the hub holds the image"))
        #expect(try homes.han(["down"]).code == 0)
        // The first one came whole too, though it is no image.
        let events = try String(contentsOfFile: out + "/events.jsonl", encoding: .utf8)
        let discarded = events.split(separator: "\n").filter { $0.contains("imageDiscarded") }
        #expect(discarded.count == 1 && discarded[0].contains(#""delivery":7"#))
        #expect(discarded.allSatisfy { !$0.contains("incomplete") })
    }

    @Test("a sender that died in the middle holds the hub up for a few seconds only")
    func deadSender() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach", "--pace", "x50"])
        try #require(up.code == 0, "\(up.errors)")
        let endpoints = try AirEndpoints(parsing: "ipc://\(homes.folder(of: "standard"))/air")
        try ControlClient(endpoints: endpoints, patience: 20).orderPatiently(
            .wan(.beginImage(delivery: 7, targets: [Self.esme], size: 9, installableFrom: [])))
        let sent = try homes.han(["ctl", "send", "gsme-2", "--to", "GSME", "--wait"])
        #expect(sent.code == 0 && sent.output.contains("the hub holds the image"), "\(sent.errors)")
    }

    @Test("who waits for a hub whose power is cut is told to send the image again")
    func powerCut() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach", "--pace", "x2"])
        try #require(up.code == 0, "\(up.errors)")
        let sender = try Background(
            ["ctl", "send", "esme-2", "--to", "ESME", "--wait"], environment: homes.environment)
        try homes.wait("the image is on the WAN") { sender.output.contains("is sent for ESME") }
        #expect(try homes.han(["ctl", "power", "CH", "off"]).code == 0)
        #expect(try sender.code(within: 20) == 69, "\(sender.output)")
        #expect(sender.errors.contains("the hub lost its power before it had the image"))
    }

    @Test("flash files of another home are refused, though they are of the same size")
    func othersFlash() throws {
        let homes = try RuntimeFolder()
        let flash = homes.path + "/flash"
        let arguments = ["up", "--detach", "--pace", "x50", "--flash", flash]
        let first = try homes.han(arguments)
        try #require(first.code == 0, "\(first.errors)")
        #expect(try homes.han(["down"]).code == 0)
        let file = flash + "/ESME.flash"
        var bytes = try Data(contentsOf: URL(filePath: file))
        #expect(Array(bytes.suffix(8)) == [0x02, 0x47, 0x42, 0, 0, 0, 0x01, 0x01])
        // One from before files said whose they are becomes the node's that opens it.
        try bytes.dropLast(16).write(to: URL(filePath: file))
        #expect(try homes.han(arguments).code == 0)
        #expect(try homes.han(["down"]).code == 0)
        #expect(try Data(contentsOf: URL(filePath: file)).count == bytes.count)
        bytes[bytes.count - 1] = 0x99
        try bytes.write(to: URL(filePath: file))
        let second = try homes.han(arguments)
        #expect(second.code == 65, "\(second.errors)")
        #expect(second.errors.contains("ESME.flash' is the flash of 0247420000000199"))
        #expect(homes.remains == [])
    }

    @Test("a runtime folder that others can enter exits 78, whatever wants to use it")
    func openFolder() throws {
        let homes = try RuntimeFolder()
        try FileManager.default.createDirectory(
            atPath: homes.path + "/han", withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        for command in [
            ["up"], ["up", "--detach"], ["ps"], ["down"], ["ctl", "query", "ESME"], ["sniff"],
            ["demo", "--transport", "zmq", "--quiet"],
        ] {
            let result = try homes.han(command)
            #expect(result.code == 78, "\(command): \(result.errors)")
            #expect(result.errors.contains("chmod 700 \(homes.path)/han"), "\(command)")
        }
        chmod(homes.path + "/han", 0o700)
    }

    @Test("down says that a home which does not answer takes a while")
    func slowEnd() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach"])
        try #require(up.code == 0, "\(up.errors)")
        let supervisor = try homes.supervisor(of: "standard")
        kill(supervisor, SIGSTOP)
        let down = try Background(["down"], environment: homes.environment)
        try homes.wait("a line says it") { down.errors.contains("'standard' is slow to end") }
        kill(supervisor, SIGCONT)
        #expect(try down.code() == 0, "\(down.errors)")
        #expect(homes.remains == [])
    }

    @Test("an air takes the place of nobody's file and of no other air, and leaves no socket")
    func sockets() throws {
        let folder = try RuntimeFolder()
        let path = folder.path + "/a"
        let bind = ["air", "--bind", "ipc://\(path)"]
        for suffix in ["", ".sniff", ".control"] {
            try Data("precious".utf8).write(to: URL(filePath: path + suffix))
            let result = try folder.han(bind)
            #expect(result.code == 74, "\(suffix): \(result.errors)")
            #expect(result.errors.contains("no socket is at that path"), "\(result.errors)")
            #expect(try String(contentsOfFile: path + suffix, encoding: .utf8) == "precious")
            try FileManager.default.removeItem(atPath: path + suffix)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        }
        func answers() throws -> Bool {
            let shown = try folder.han(["ps", "--json", "--air", "ipc://\(path)"])
            return shown.code == 0 && shown.output.contains(#""state" : "waiting""#)
        }
        let first = try Background(bind, environment: folder.environment)
        try folder.wait("the first air answers", until: answers)
        let second = try folder.han(bind)
        #expect(second.code == 74 && second.errors.contains("Address already in use"))
        #expect(try answers())
        let capture = try folder.han(["sniff", "--air", "ipc://\(path)", "--out", "/dev/full"])
        #expect(capture.code == 74 && capture.errors.contains("name another file with --out"))
        let stranger = try folder.han([
            "node", "--home", "two-esmes", "--name", "ESME-2", "--air", "ipc://\(path)",
        ])
        #expect(
            stranger.code == 65 && stranger.errors.contains("nobody in the roster has the EUI-64"))
        // Only what a dead one has left is replaced.
        kill(first.pid, SIGKILL)
        #expect(try first.code() == 128 + SIGKILL)
        #expect(FileManager.default.fileExists(atPath: path + ".control"))
        let third = try Background(bind, environment: folder.environment)
        try folder.wait("the third air answers", until: answers)
        kill(third.pid, SIGTERM)
        #expect(try third.code() == 0, "\(third.errors)")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path)
                .filter { $0.hasPrefix("a") } == [])
    }
}
