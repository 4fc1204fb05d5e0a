import Foundation
import Testing

@Suite("han keys")
struct KeysCommandTests {
    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("keys are made for the air and its peers, secret to others, and not made twice")
    func make() throws {
        let folder = try TemporaryFolder()
        let keys = folder.path + "/keys"
        let made = try RunHan.han(["keys", "air", "--out", keys])
        #expect(made.code == 0, "\(made.errors)")
        #expect(try mode(keys) == 0o700)
        #expect(try mode(keys + "/air.secret") == 0o600)
        #expect(try mode(keys + "/peer.secret") == 0o600)
        let before = try String(contentsOfFile: keys + "/air.secret", encoding: .utf8)
        let again = try RunHan.han(["keys", "air", "--out", keys])
        #expect(again.code == 74 && again.errors.contains("--force"))
        #expect(try String(contentsOfFile: keys + "/air.secret", encoding: .utf8) == before)
        #expect(try RunHan.han(["keys", "air", "--out", keys, "--force"]).code == 0)
        #expect(try String(contentsOfFile: keys + "/air.secret", encoding: .utf8) != before)
        #expect(try mode(keys + "/air.secret") == 0o600)
    }

    @Test("an address that other machines reach needs keys, which the message says")
    func demand() throws {
        for bind in ["tcp://0.0.0.0:5690", "tcp://*:5690", "tcp://192.0.2.1:5690"] {
            let air = try RunHan.han(["air", "--bind", bind])
            #expect(air.code == 78)
            #expect(air.errors.contains("CURVE") && air.errors.contains("han keys air"))
        }
    }

    @Test("keys that cannot be used are a setting to mend, and say where")
    func broken() throws {
        let folder = try TemporaryFolder()
        let keys = folder.path + "/keys"
        #expect(try RunHan.han(["keys", "air", "--out", keys]).code == 0)
        let air = ["air", "--bind", "tcp://127.0.0.1:5690", "--keys", keys]
        func expect(_ words: String, _ arguments: [String], code: Int32 = 78) throws {
            let run = try RunHan.han(arguments)
            #expect(run.code == code && run.errors.contains(words), "\(run.errors)")
        }
        let node = ["node", "--air", "tcp://127.0.0.1:5690", "--name", "ESME", "--keys"]
        chmod(keys + "/peer.secret", 0o644)
        try expect("chmod 600", node + [keys])
        chmod(keys + "/peer.secret", 0o600)
        try "client: short\n".write(
            toFile: keys + "/clients", atomically: true, encoding: .utf8)
        try expect("clients: line 1: a key is 40", air)
        try "# nobody\n".write(toFile: keys + "/clients", atomically: true, encoding: .utf8)
        try expect("nobody could join", air)
        try FileManager.default.removeItem(atPath: keys + "/air.secret")
        try expect("does not exist", air, code: 66)
        let other = try folder.write(Array("# x\nhello\n".utf8), as: "other")
        chmod(other, 0o600)
        try expect("line 2: expected 'air: KEY'", node + [other])
    }

    /// One that has written the head of its capture, which it does once it has the air's word for
    /// who there is. On a busy machine that may take longer than it waits for it.
    private static func sniffer(
        of place: String, _ options: [String], into path: String
    ) throws -> Background {
        var said: [String] = []
        for _ in 0..<5 {
            try? FileManager.default.removeItem(atPath: path)
            let sniffer = try Background(["sniff", "--air", place, "--out", path] + options)
            for _ in 0..<2_000 where !sniffer.errors.contains("no air answers") {
                let head = try? Data(contentsOf: URL(filePath: path))
                if head?.isEmpty == false { return sniffer }
                usleep(10_000)
            }
            said.append(sniffer.errors)
        }
        throw NoSniffer(said: said)
    }

    private struct NoSniffer: Error { var said: [String] }

    @Test("with keys a node on this machine joins over tcp, and one without them does not")
    func tcp() throws {
        let folder = try TemporaryFolder()
        let keys = folder.path + "/keys"
        #expect(try RunHan.han(["keys", "air", "--out", keys]).code == 0)
        let port = 20_000 + 3 * Int(getpid() % 10_000)
        let place = "tcp://127.0.0.1:\(port)"
        for options in [["--keys", keys], []] {
            let log = try folder.write([], as: "log")
            let air = Process()
            air.executableURL = URL(filePath: RunHan.binary)
            air.arguments = ["air", "--bind", place, "--pace", "virtual"] + options
            air.standardInput = FileHandle.nullDevice
            air.standardError = FileHandle(forWritingAtPath: log)
            try air.run()
            let node = Process()
            node.executableURL = URL(filePath: RunHan.binary)
            node.arguments = ["node", "--air", place, "--name", "ESME"] + options
            node.standardInput = FileHandle.nullDevice
            node.standardError = FileHandle.nullDevice
            defer {
                for process in [node, air] where process.isRunning {
                    kill(process.processIdentifier, SIGKILL)
                }
            }
            if !options.isEmpty {
                // A plain one is given up when nothing has come for ten seconds.
                let plain = try RunHan.han(["node", "--air", place, "--name", "GSME"])
                #expect(plain.code == 69, "\(plain.errors)")
            }
            try node.run()
            var said = ""
            for _ in 0..<6_000 where !said.contains("ESME is on the air") {
                usleep(10_000)
                said = try String(contentsOfFile: log, encoding: .utf8)
            }
            #expect(said.contains("ESME is on the air") && !said.contains("GSME"), "\(said)")
            let order = ["ctl", "query", "XSME", "--air", place]
            let known = try RunHan.han(order + options)
            #expect(known.code == 66 && known.errors.contains("GSME"), "\(known.errors)")
            let sniffer = try Self.sniffer(of: place, options, into: folder.path + "/live")
            if !options.isEmpty {
                let silent = "no air answers at"
                #expect(try RunHan.han(order).errors.contains(silent))
                #expect(try RunHan.han(["sniff", "--air", place]).errors.contains(silent))
            }
            // A process that is started from here has other signals blocked.
            kill(air.processIdentifier, SIGKILL)
            air.waitUntilExit()
            node.waitUntilExit()
            let code = try sniffer.code()
            #expect(code == 69, "\(options): \(sniffer.errors)")
            #expect(sniffer.errors.contains("the air is gone"), "\(options): \(sniffer.errors)")
        }
    }
}
