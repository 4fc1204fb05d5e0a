import Foundation
import TestSupport
import Testing

/// A home whose memories outlive it, one of whose members is somebody else's for a while.
@Suite("A hub whose memory has known a member that is left out")
struct AbsentMemberTests {
    private static let esme = "0247420000000101"

    private static func lines(_ out: String, _ kind: String, of node: String) -> [String] {
        let text = try? String(contentsOfFile: out + "/events.jsonl", encoding: .utf8)
        return (text ?? "").split(separator: "\n").map(String.init).filter {
            $0.contains("\"event\":\"\(kind)\"") && $0.contains("\"node\":\"\(node)\"")
        }
    }

    private static func hasTunnel(_ out: String) -> Bool {
        lines(out, "tunnelOpened", of: "CH").contains { $0.contains(esme) }
    }

    @Test("it keeps its device log and goes on, and the member comes back as if nothing had been")
    func away() throws {
        let homes = try RuntimeFolder()
        let flash = homes.path + "/flash"
        let out = (0..<3).map { homes.path + "/evidence-\($0)" }
        let first = try homes.han([
            "up", "--detach", "--pace", "x50", "--flash", flash, "--out", out[0],
        ])
        try #require(first.code == 0, "\(first.errors)")
        try homes.wait("ESME has its tunnel") { Self.hasTunnel(out[0]) }
        #expect(try homes.han(["down"]).code == 0)

        // In its place is one that has the install code alone and remembers nothing.
        let second = try homes.han([
            "up", "--detach", "--pace", "x50", "--flash", flash, "--out", out[1], "--without",
            "ESME",
        ])
        try #require(second.code == 0, "\(second.errors)")
        let air = "ipc://" + homes.folder(of: "standard") + "/air"
        let stranger = try Background(
            ["node", "--air", air, "--name", "ESME", "--install-code", "ESME"],
            environment: homes.environment)
        try homes.wait("the hub is back") {
            !Self.lines(out[1], "networkResumed", of: "CH").isEmpty
        }
        #expect(try homes.han(["ctl", "read", "ESME"]).code == 0)
        #expect(try homes.han(["ctl", "send", "esme-2", "--to", "ESME", "--wait"]).code == 0)
        // At this pace a busy machine may keep one of them from it for long.
        try homes.wait("another has its tunnel") {
            !Self.lines(out[1], "tunnelOpened", of: "CH").isEmpty
        }
        #expect(try homes.row("CH").state == "onAir")
        #expect(try homes.han(["down"]).code == 0)
        _ = try stranger.code()
        #expect(Self.lines(out[1], "outputLost", of: "CH").isEmpty)
        #expect(Self.lines(out[1], "deviceRemoved", of: "CH").isEmpty)
        #expect(!Self.hasTunnel(out[1]))

        let third = try homes.han([
            "up", "--detach", "--pace", "x50", "--flash", flash, "--out", out[2],
        ])
        try #require(third.code == 0, "\(third.errors)")
        try homes.wait("ESME has its tunnel again") { Self.hasTunnel(out[2]) }
        #expect(try homes.han(["down"]).code == 0)
        #expect(Self.lines(out[2], "networkResumed", of: "ESME").count == 1)
        #expect(Self.lines(out[2], "linkKeyRefused", of: "ESME").isEmpty)
    }
}
