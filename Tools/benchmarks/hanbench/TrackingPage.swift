import BenchmarkReport
import DCC
import Foundation
import Tracking
import Wire

/// The row of `Tools/bench dcc` that measures the first page of the tracking screen: the processor
/// time that a `han serve` takes for it, with many rows in its store and with few.
struct TrackingPage {
    let program: String
    let rounds: Int

    /// Devices of requests, in all and of each.
    private static let (many, few, each) = (1_000_000, 1_000, 50)
    /// Pages of one round.
    private static let pages = 20

    func measure() throws -> [Row] {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("hanbench-\(getpid())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var servers: [PageServer] = []
        defer { for server in servers { server.stop() } }
        for count in [Self.many, Self.few] {
            say("storing \(count) rows of the tracking")
            let state = "\(folder)/\(count)"
            try Self.fill(state, count: count)
            servers.append(try PageServer(program: program, state: state))
        }
        for server in servers { _ = try server.page() }
        var rows = Rounds()
        for round in 1...rounds {
            say("page: round \(round) of \(rounds)")
            var times = [0.0, 0.0]
            // In turn, because the machine's speed changes.
            for _ in 0..<Self.pages {
                for (index, server) in servers.enumerated() { times[index] += try server.page() }
            }
            let milliseconds = 1e3 / Double(Self.pages)
            rows.add(times[0] * milliseconds, against: times[1] * milliseconds)
        }
        return [
            rows.row(
                "page", target: 20, .lower,
                title: "ms of a server for the tracking's first page with 1,000,000 rows, against "
                    + "the same with 1,000")
        ].compactMap(\.self)
    }

    /// A store with requests of the last 30 days of its world.
    private static func fill(_ state: String, count: Int) throws {
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let store = try TrackingStore(path: "\(state)/\(StateFolder.store)")
        let (user, broker) = (EUI64(0x90B3_D51F_3001_0000), EUI64(0x90B3_D51F_3000_0002))
        let (begin, days) = (UInt32(825_915_967), UInt32(28))
        let requests = count / each
        let statuses: [TrackingStatus] = [
            .activated, .verified, .downloading, .deliveredToHub, .refused, .transferFailed,
        ]
        var change = StoreChange(wall: Date().timeIntervalSince1970)
        for number in 0..<requests {
            let id = RequestID(originator: user, target: broker, counter: UInt64(number + 1))
            let time = UTCTime(
                secondsSince2000: begin
                    + UInt32(UInt64(days) * 86_400 * UInt64(number) / UInt64(requests)))
            change.submitted.append(
                SubmittedRequest(
                    id: id, user: user, variant: "11.1", version: "02000000",
                    fileVersion: 0x0200_0000, manufacturer: "FFF1", model: "ESME 1", type: .esme,
                    accepted: each, code: .acknowledged, received: time,
                    receivedWall: change.wall))
            for place in 0..<each {
                let device = UInt64(number * each + place)
                change.targets.append(
                    SubmittedTarget(
                        request: id, device: EUI64(0x00DB_0000_0000_0000 + device),
                        hub: EUI64(0x00DC_0000_0000_0000 + device), type: .esme,
                        manufacturer: "FFF1", model: "ESME 1", fromVersion: 0x0100_0000,
                        toVersion: 0x0200_0000, status: statuses[place % statuses.count],
                        reason: place % statuses.count == 4 ? "not commissioned" : nil, time: time))
            }
            change.clock = time
            guard change.submitted.count == 1_000 || number == requests - 1 else { continue }
            try store.commit(change)
            change = StoreChange(wall: change.wall)
        }
        try store.close()
    }
}

/// A `han serve` that is asked for its first page.
final class PageServer {
    private let process = Process()
    private let port: UInt16

    init(program: String, state: String) throws {
        let output = Pipe()
        process.executableURL = URL(filePath: program)
        process.arguments = ["serve", "--state", state, "--port", "0", "--pace", "real"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var text = ""
        while true {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else {
                throw BenchmarkError("'han serve' does not start; it said: \(text)")
            }
            text += String(decoding: data, as: UTF8.self)
            guard let line = text.firstMatch(of: /listening at http:\/\/127\.0\.0\.1:(\d+)\D/),
                let port = UInt16(line.1)
            else { continue }
            self.port = port
            return
        }
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    /// Seconds of the server's processor time for its first page.
    func page() throws -> Double {
        let began = try processorTime()
        let answer = try ask()
        guard answer.hasPrefix("HTTP/1.1 200"), answer.contains("</html>"), answer.contains("11.1")
        else { throw BenchmarkError("the server answers: \(answer.prefix(200))") }
        return try processorTime() - began
    }

    /// Of all its threads.
    private func processorTime() throws -> Double {
        let folder = "/proc/\(process.processIdentifier)/task"
        let threads = try FileManager.default.contentsOfDirectory(atPath: folder)
        return try threads.reduce(0) { sum, thread in
            let text = try String(contentsOfFile: "\(folder)/\(thread)/schedstat", encoding: .utf8)
            guard let nanoseconds = text.split(separator: " ").first.flatMap({ Double($0) }) else {
                throw BenchmarkError("\(folder)/\(thread)/schedstat has no time")
            }
            return sum + nanoseconds / 1e9
        }
    }

    private func ask() throws -> String {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw BenchmarkError("no socket is to be had") }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw BenchmarkError("the server cannot be reached") }
        let request = Array(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n".utf8)
        guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count
        else { throw BenchmarkError("the server takes no request") }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
