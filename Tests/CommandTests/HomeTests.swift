import Foundation
import TestSupport
import Testing

/// Homes whose members are processes, run, watched, told things, killed and ended.
@Suite("A home of processes", .serialized)
struct HomeTests {
    private static func isThere(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return false }
        return !text[end...].hasPrefix(") Z")
    }

    /// The lines of events.jsonl that name an event.
    private static func events(_ name: String, in folder: String) -> [[String: Any]] {
        let text = (try? String(contentsOfFile: folder + "/events.jsonl", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            guard line.contains("\"event\":\"\(name)\"") else { return nil }
            return try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        }
    }

    @Test("a home stays when its starter returns, and ps and the operating system agree about it")
    func detached() throws {
        let homes = try RuntimeFolder()
        // A pipe that the home kept would never end.
        let up = try RunHan.run(
            "bash", ["-c", "\"$0\" up --detach --pace x10 | cat", RunHan.binary],
            environment: homes.environment)
        #expect(up.code == 0 && up.output.contains("the home 'standard' is up"), "\(up.errors)")
        let rows = try homes.rows()
        #expect(rows.map(\.role) == ["AIR", "CH", "ESME", "GSME", "PPMID", "HCALCS"])
        #expect(rows.map(\.name) == rows.map(\.role))
        #expect(rows[0].state == "running" && rows[0].eui64 == nil)
        #expect(rows.dropFirst().allSatisfy { $0.state == "onAir" && $0.firmware != nil })
        #expect(rows[1].eui64 == "0247420000000100" && rows[1].firmware == "0x01050200")
        let pids = rows.compactMap(\.pid)
        #expect(Set(pids).count == 6)
        for row in rows {
            let pid = try #require(row.pid)
            let words = try String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)
                .split(separator: "\0")
            #expect(words.count > 3 && words[1] == (row.role == "AIR" ? "air" : "node"))
            #expect(row.role == "AIR" || words[3] == row.name[...])
            let pages = try String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)
                .split(separator: " ")
            let resident = (Int(pages[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
            let memory = try #require(row.memory)
            #expect(memory > resident / 2 && memory < resident * 2)
        }

        let second = try homes.han(["up"])
        #expect(second.code == 69 && second.errors.contains("is up already"))
        let other = try homes.han(["up", "--detach", "--name", "other"])
        #expect(other.code == 0, "\(other.errors)")
        let which = try homes.han(["ctl", "query", "ESME"])
        #expect(which.code == 64 && which.errors.contains("other and standard"))
        #expect(try homes.han(["down", "other"]).code == 0)

        for (words, code, message) in [
            (["query", "XSME"], 66, "it has CH, ESME"), (["query", "CH"], 64, "is the hub"),
            (["activate", "ESME"], 64, "has sent nothing"),
            (["send", "esme-9", "--to", "ESME"], 66, "ch-1, ch-2"),
            (["send", "ppmid-2", "--to", "ESME"], 65, "gbcs-unsigned"),
            (["inject", "11", "0G"], 64, "in hex"), (["start", "ESME"], 69, "runs already"),
        ] as [([String], Int32, String)] {
            let result = try homes.han(["ctl"] + words)
            #expect(result.code == code && result.errors.contains(message), "\(words)")
        }

        // What it held may take a moment to be free.
        try homes.wait("down clears it away") { try homes.han(["down"]).code == 0 }
        #expect(homes.remains == [])
        #expect(Self.processes(of: homes.path).isEmpty)
    }

    @Test("an update survives that its device and then its hub are killed in the middle")
    func killed() throws {
        let homes = try RuntimeFolder()
        let out = homes.path + "/evidence"
        // So big that a busy computer has the time to do something in the middle.
        let image = homes.path + "/big.ota"
        let built = try homes.han([
            "image", "build", "--size", "160000", "--seed", "9", "--output", image, "--key",
            RunHan.root + "/Firmware/keys/supplier-test.key.pem", "--manufacturer-code", "0xFFF1",
            "--image-type", "1", "--file-version", "0x03020001",
        ])
        try #require(built.code == 0, "\(built.errors)")
        let up = try homes.han(["up", "--detach", "--pace", "x4", "--out", out, "--seed", "5"])
        try #require(up.code == 0, "\(up.errors)")
        try homes.wait("everybody is in the network") {
            Self.events("otaServerFound", in: out).count == 4
        }
        let capture = homes.path + "/live.pcapng"
        let sniffer = try Background(
            ["sniff", "--out", capture], environment: homes.environment)
        let none = String(repeating: "0", count: 64)
        let refused = try homes.han(["ctl", "activate", "ESME", "--hash", none, "--wait"])
        #expect(refused.code == 1 && refused.errors.contains("ESME refuses:"), "\(refused.errors)")
        let sent = try homes.han(["ctl", "send", image, "--to", "ESME", "--wait"])
        #expect(sent.code == 0 && sent.output.contains("the hub holds the image"), "\(sent.errors)")

        for name in ["ESME", "CH"] {
            let before = try homes.row("ESME").download?.offset ?? 0
            try homes.wait("the download of ESME goes on") {
                (try homes.row("ESME").download?.offset ?? 0) > before + 1_000
            }
            let pid = try #require(try homes.row(name).pid)
            kill(pid, SIGKILL)
            try homes.wait("\(name) is dead") { !Self.isThere(pid) }
            // At once, though the air does not know it yet.
            try homes.wait("\(name) is gone") { try homes.row(name).state == "gone" }
            try homes.wait("the air knows it") {
                Self.events("nodeLost", in: out).contains { $0["node"] as? String == name }
            }
            let download = try #require(try homes.row("ESME").download)
            #expect(download.offset < download.size)
            let start = try homes.han(["ctl", "start", name])
            #expect(start.code == 0 && start.output.contains("on the air again"), "\(start.errors)")
            #expect(try homes.row(name).pid != pid)
        }
        // It may have given up while the hub was away, which takes 20 s to start.
        try homes.wait("the hub is back") {
            Self.events("networkResumed", in: out).contains { $0["node"] as? String == "CH" }
        }
        #expect(try homes.han(["ctl", "query", "ESME"]).code == 0)
        try homes.wait("ESME has the image") { !Self.events("otaVerified", in: out).isEmpty }
        let activated = try homes.han(["ctl", "activate", "ESME", "--wait"])
        #expect(activated.code == 0, "\(activated.errors)")
        #expect(activated.output.contains("ESME runs 0x03020001"))
        #expect(try homes.row("ESME").firmware == "0x03020001")
        #expect(try homes.han(["down"]).code == 0)
        #expect(try sniffer.code() == 0, "\(sniffer.errors)")

        // It went on where it was, and the hub is in the network that it had.
        #expect(Self.events("otaDownloadStarted", in: out).count == 1)
        let resumed = Self.events("otaDownloadResumed", in: out)
        #expect(!resumed.isEmpty && resumed.allSatisfy { ($0["offset"] as? Int ?? 0) >= 1_000 })
        let hub = Self.events("networkResumed", in: out).filter { $0["node"] as? String == "CH" }
        #expect(hub.count == 1)
        #expect(
            hub.first?["pan"] as? String
                == Self.events("panFormed", in: out).first?["pan"] as? String)
        let orders = Self.events("benchOrdered", in: out).compactMap { $0["order"] as? String }
        #expect(orders == ["activate", "beginImage", "endImage", "queryNextImage", "activate"])
        #expect(Self.events("nodeLost", in: out).count >= 2)

        for trace in [out + "/trace.pcapng", capture] {
            let verdict = try Tshark.judge(capture: trace, keys: out)
            #expect(verdict.complaints == [] && verdict.frames > 1_000)
        }
        // A frame that is sent again for want of an acknowledgement has the counter it had.
        var last: [String: Int] = [:]
        for row in try Tshark.rows(
            capture: out + "/trace.pcapng", keys: out,
            fields: ["zbee.sec.counter", "zbee.sec.src64"], filter: "zbee_nwk.security == 1")
        {
            guard let source = row["zbee.sec.src64"],
                let counter = row["zbee.sec.counter"].flatMap({ Int($0) })
            else { continue }
            #expect(counter >= last[source, default: -1], "frame \(row.frame)")
            last[source] = counter
        }
        #expect(last.count == 5)
    }

    @Test("kill -9 of a home's supervisor leaves no process, no socket and no folder")
    func supervisorKilled() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach"])
        try #require(up.code == 0, "\(up.errors)")
        let pids = try homes.rows().compactMap(\.pid)
        #expect(pids.count == 6)
        kill(try homes.supervisor(of: "standard"), SIGKILL)
        try homes.wait("everybody is gone") {
            homes.remains.isEmpty && Self.processes(of: homes.path).isEmpty
        }
    }

    @Test("down clears what is left where the air could not do it")
    func remains() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach"])
        try #require(up.code == 0, "\(up.errors)")
        let air = try #require(try homes.row("AIR").pid)
        kill(air, SIGKILL)
        kill(try homes.supervisor(of: "standard"), SIGKILL)
        try homes.wait("the nodes have ended") { Self.processes(of: homes.path).isEmpty }
        #expect(homes.remains == ["home-standard"])
        let shown = try homes.han(["ps"])
        #expect(shown.code == 0 && shown.errors.contains("'han down standard' clears"))
        #expect(try homes.han(["down"]).code == 0)
        #expect(homes.remains == [])
        let none = try homes.han(["down"])
        #expect(none.code == 66 && none.errors.contains("no home is up"))
    }

    @Test("without its air a home ends, with 69 and a line from each node")
    func airKilled() throws {
        let homes = try RuntimeFolder()
        let up = try Background(["up", "--pace", "x20"], environment: homes.environment)
        try homes.wait("it is up") { up.errors.contains("the home 'standard' is up") }
        kill(try #require(try homes.row("AIR").pid), SIGKILL)
        #expect(try up.code() == 69)
        #expect(up.errors.contains("the air was ended by signal 9"))
        for name in ["CH", "ESME", "GSME", "PPMID", "HCALCS"] {
            let log = try String(
                contentsOfFile: homes.folder(of: "standard") + "/\(name).log", encoding: .utf8)
            let lines = log.split(separator: "\n")
            #expect(lines.count == 1 && lines.last?.contains("is lost") == true, "\(name): \(log)")
        }
        #expect(try homes.han(["down"]).code == 0)
        #expect(homes.remains == [])
    }

    @Test("an order waits for a node that has stopped, until the home's patience with it is over")
    func stopped() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach", "--pace", "virtual", "--patience", "7"])
        try #require(up.code == 0, "\(up.errors)")
        kill(try #require(try homes.row("HCALCS").pid), SIGSTOP)
        let order = try homes.han(["ctl", "link", "ESME", "CH", "--rssi", "-60"])
        #expect(order.code == 0, "\(order.errors)")
        // If nothing was owed when the order came, it is only then that HCALCS is waited for.
        try homes.wait("HCALCS is put off") { try homes.row("HCALCS").state == "putOff" }
        let wrong = try homes.han(["up", "--patience", "0"])
        #expect(wrong.code == 64 && wrong.errors.contains("--patience"))
    }

    @Test("an air that does not answer is silent, and so is every member, gone or not")
    func silent() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach", "--without", "PPMID"])
        try #require(up.code == 0, "\(up.errors)")
        let before = try homes.rows()
        let pids = before.dropFirst().compactMap(\.pid)
        #expect(pids.count == 4)
        kill(try #require(before.first?.pid), SIGSTOP)
        // They hear nothing from it, and end.
        try homes.wait("the nodes have ended") { Self.processes(of: homes.path).count == 1 }
        let rows = try homes.rows()
        #expect(rows.map(\.role) == ["AIR", "CH", "ESME", "GSME", "PPMID", "HCALCS"])
        #expect(rows.allSatisfy { $0.state == "silent" })
        #expect(rows.map(\.eui64) == before.map(\.eui64))
        #expect(rows.map(\.pid) == [before.first?.pid, nil, nil, nil, nil, nil])
    }

    @Test("a home's time goes on with the clock, though nothing happens in it")
    func time() throws {
        let homes = try RuntimeFolder()
        let up = try homes.han(["up", "--detach", "--pace", "x0.001"])
        try #require(up.code == 0, "\(up.errors)")
        // A millisecond of it takes a second, and nobody has anything to do for hundreds of them.
        let first = try homes.seconds()
        try homes.wait("time goes on", seconds: 20) { try homes.seconds() > first }
    }

    /// The processes whose arguments name a folder, and the command of each.
    private static func processes(of folder: String) -> [(pid: Int32, command: String)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name in
            guard let pid = Int32(name), isThere(pid),
                let line = try? String(contentsOfFile: "/proc/\(name)/cmdline", encoding: .utf8)
            else { return nil }
            let words = line.split(separator: "\0").map(String.init)
            guard words.count > 1, words.contains(where: { $0.contains(folder) }) else {
                return nil
            }
            return (pid, words[1])
        }
    }

    /// A run with a process a member that waits for one of them.
    private static func waitingRun(_ homes: RuntimeFolder) throws -> (run: Background, name: String)
    {
        let run = try Background(
            ["run", "demo", "--transport", "zmq", "--without", "PPMID"],
            environment: homes.environment)
        try homes.wait("the air is there") {
            run.errors.contains("the air is at")
                && processes(of: homes.path).map(\.command).sorted()
                    == ["air", "node", "node", "node", "node"]
        }
        return (run, try #require(homes.remains.first))
    }

    @Test("kill -9 of a scenario's run leaves nothing, and down leaves a run that lives alone")
    func runKilled() throws {
        let homes = try RuntimeFolder()
        let (run, name) = try Self.waitingRun(homes)
        #expect(name.hasPrefix("run-") && homes.remains == [name])
        let down = try homes.han(["down", "--all"])
        #expect(down.code == 0 && down.output.isEmpty)
        #expect(homes.remains == [name])
        kill(run.pid, SIGKILL)
        try homes.wait("everybody is gone") {
            homes.remains.isEmpty && Self.processes(of: homes.path).isEmpty
        }
    }

    @Test("a process that was stopped does not outlive the run that was killed")
    func stoppedProcess() throws {
        let homes = try RuntimeFolder()
        let (run, name) = try Self.waitingRun(homes)
        let node = try #require(Self.processes(of: homes.path).first { $0.command == "node" })
        kill(node.pid, SIGSTOP)
        kill(run.pid, SIGKILL)
        // Its air sees to it; without the air, down does.
        try homes.wait("everybody is gone") {
            homes.remains.isEmpty && Self.processes(of: homes.path).isEmpty
        }
        let (second, other) = try Self.waitingRun(homes)
        #expect(other != name)
        for process in Self.processes(of: homes.path) { kill(process.pid, SIGSTOP) }
        kill(second.pid, SIGKILL)
        // Until it is dead, it is a run that lives.
        _ = try second.code()
        let down = try homes.han(["down"])
        // The kernel wakes the stopped processes of a group whose parent has died, where nobody of
        // its session adopts them: they may have cleared everything before down comes to it.
        let isCleared = down.code == 66 && down.errors.contains("no home is up")
        #expect(down.code == 0 || isCleared, "\(down.errors)")
        try homes.wait("everybody is gone") {
            homes.remains.isEmpty && Self.processes(of: homes.path).isEmpty
        }
    }

    @Test("down clears what is left of a scenario's run whose air was killed too")
    func runRemains() throws {
        let homes = try RuntimeFolder()
        for command in [["down"], ["up", "--detach"]] {
            let (run, name) = try Self.waitingRun(homes)
            // So that it does not see its air end.
            kill(run.pid, SIGSTOP)
            let air = try #require(Self.processes(of: homes.path).first { $0.command == "air" })
            kill(air.pid, SIGKILL)
            kill(run.pid, SIGKILL)
            _ = try run.code()
            try homes.wait("the nodes have ended") { Self.processes(of: homes.path).isEmpty }
            #expect(homes.remains == [name])
            let result = try homes.han(command)
            #expect(result.code == 0, "\(result.errors)")
            #expect(!homes.remains.contains(name))
            #expect(command == ["down"] || homes.remains == ["home-standard"])
            #expect(command != ["down"] || result.output.contains("a killed run"))
        }
    }

    @Test("a signal ends a home in the foreground, which has shown what happened")
    func interrupted() throws {
        let homes = try RuntimeFolder()
        let up = try Background(["up", "--pace", "x50"], environment: homes.environment)
        try homes.wait("ESME has joined") { up.errors.contains("ESME has joined") }
        let pids = try homes.rows().compactMap(\.pid)
        // Not SIGINT: whoever runs the tests in the background has it ignored.
        kill(up.pid, SIGTERM)
        #expect(try up.code() == 143)
        #expect(homes.remains == [])
        #expect(pids.count == 6 && Self.processes(of: homes.path).isEmpty)
    }

    @Test("a home that cannot come up says why, and leaves nothing")
    func cause() throws {
        let homes = try RuntimeFolder()
        // Another node's memory is in the place of ESME's.
        let flash = homes.path + "/flash"
        try FileManager.default.createDirectory(atPath: flash, withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: URL(filePath: flash + "/ESME.flash"))
        let up = try homes.han(["up", "--detach", "--flash", flash])
        #expect(up.code == 65 && up.errors.contains("ESME ended with exit code"), "\(up.errors)")
        #expect(up.errors.contains("ESME.flash"))
        #expect(homes.remains == [])
        // Nobody can write there, and it is the air that says so.
        let out = try homes.han(["up", "--detach", "--out", "/proc/evidence"])
        #expect(
            out.code == 74 && out.errors.contains("AIR ended with exit code 74"), "\(out.errors)")
        #expect(out.errors.contains("/proc/evidence"))
        #expect(homes.remains == [])
    }

    @Test("flash that is kept is taken up again by the next run, in virtual pace too")
    func lasting() throws {
        let homes = try RuntimeFolder()
        let flash = homes.path + "/flash"
        var pans: [String] = []
        for round in 0..<2 {
            let out = homes.path + "/evidence-\(round)"
            let up = try homes.han([
                "up", "--detach", "--pace", round == 0 ? "virtual" : "x20", "--flash", flash,
                "--out", out, "--durable",
            ])
            try #require(up.code == 0, "\(up.errors)")
            let event = round == 0 ? "panFormed" : "networkResumed"
            if round == 0 {
                // An order is carried out between two turns, however busy the air is.
                for _ in 0..<3 { #expect(try homes.han(["ctl", "read", "ESME"]).code == 0) }
                try homes.wait("a day is over") { try homes.seconds() > 86_400 }
            } else {
                try homes.wait("the hub is back") {
                    Self.events(event, in: out).contains { $0["node"] as? String == "CH" }
                }
            }
            #expect(try homes.han(["down"]).code == 0)
            let found = Self.events(event, in: out).filter { $0["node"] as? String == "CH" }
            pans += found.compactMap { $0["pan"] as? String }
        }
        #expect(pans.count == 2 && Set(pans).count == 1)
    }
}

extension RuntimeFolder {
    /// The virtual time of the only home's air.
    fileprivate func seconds() throws -> Double {
        let result = try han(["ps", "--json"])
        let rows = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        let air = (rows as? [[String: Any]])?.first { $0["role"] as? String == "AIR" }
        return try #require(air?["time"] as? Double)
    }
}
