import Evidence
import Foundation
import Lab
import Radio
import TestSupport
import Testing
import Wire

@Suite("What a step's outcome says")
struct StepStories {
    private let esme = Homes.device(.esme)

    /// The ESME has joined and been sent its image; then come `steps`.
    private func run(
        _ steps: [ScenarioStep.Action], image: RunImage? = nil, within: Interval = .hours(48),
        folder: String? = nil, named name: String = #function
    ) throws -> RunResult {
        try Stories.run(
            Homes.home([esme]), images: [image ?? Homes.image(for: esme)],
            [.join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"])] + steps,
            named: String(name.prefix { $0 != "(" }), within: within, folder: folder)
    }

    @Test("an order to activate that the device refuses fails its step, with the device's reason")
    func refusal() throws {
        let result = try run([.activate(devices: ["ESME"])])
        #expect(result.failure?.hasSuffix("ESME refused to activate: noImageHeld") == true)
        #expect(result.summary.outcome == .failed)
        #expect(result.summary.failure == result.failure)
    }

    @Test("an order to a device without power is never answered, and the step says so")
    func silence() throws {
        let result = try run(
            [
                .await(.verified, devices: ["ESME"]), .power(device: "ESME", on: false),
                .activate(devices: ["ESME"]),
            ], within: .minutes(10))
        #expect(result.failure?.hasSuffix("no answer to the order to activate: ESME") == true)
        #expect(result.summary.virtualTime >= .minutes(10))
    }

    @Test("an order to a node that has just been switched on waits until its software runs")
    func booting() throws {
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme)],
            [
                .join(devices: ["ESME"]),
                .power(device: "CH", on: false, duration: .seconds(1)),
                .deliver(image: "ESME", to: ["ESME"]), .await(.verified, devices: ["ESME"]),
                .power(device: "ESME", on: false, duration: .seconds(1)),
                .activate(devices: ["ESME"]), .await(.updated, devices: ["ESME"]),
                .power(device: "CH", on: false, duration: .seconds(1)),
                .readVersions(devices: ["ESME"], version: nil),
            ], named: "booting", within: .minutes(30))
        #expect(result.failure == nil)
    }

    @Test("nothing can be asked of a node that is off")
    func off() throws {
        let query = try run([.power(device: "ESME", on: false), .query(devices: ["ESME"])])
        #expect(query.failure?.hasSuffix("ESME is off") == true)
        let read = try run([
            .power(device: "CH", on: false), .readVersions(devices: ["ESME"], version: nil),
        ])
        #expect(read.failure?.hasSuffix("CH is off") == true)
        #expect(read.summary.virtualTime < .minutes(5))
    }

    @Test("blocks count for the image that they are of, also of a download that was cut short")
    func blocks() throws {
        let folder = try TemporaryFolder()
        let result = try run(
            [
                .await(.downloading, devices: ["ESME"], offset: 12_000),
                .power(device: "ESME", on: false), .expect(.incomplete, devices: ["ESME"]),
            ], image: Homes.image(for: esme, size: 20_000), folder: folder.path)
        let attempt = try #require(result.summary.devices.last?.attempts.last)
        let events = try Events(folder)
        let told = events.values("otaProgress", "blocks", before: events.lines.count).last
        #expect(attempt.blocks > 200 && told == Double(attempt.blocks))
    }

    @Test("an image too large for the hub is discarded for that reason")
    func tooLarge() throws {
        let result = try run(
            [.expect(.discarded, devices: ["ESME"], reason: "imageTooLarge")],
            image: Homes.image(for: esme, size: 800_000))
        #expect(result.failure == nil)
        // Nobody is ever offered it, so nobody has to wait for that.
        let awaited = try run(
            [.await(.verified, devices: ["ESME"])], image: Homes.image(for: esme, size: 800_000))
        #expect(awaited.failure?.contains("not 'verified'") == true)
        #expect(awaited.summary.virtualTime < .minutes(5))
    }

    @Test("a refusal can be what a scenario expects, for the reason that it names and no other")
    func expectedRefusal() throws {
        let right = try run([
            .activate(devices: ["ESME"], expect: .refused, reason: "noImageHeld")
        ])
        #expect(right.failure == nil)
        let wrong = try run([
            .activate(devices: ["ESME"], expect: .refused, reason: "hashMismatch")
        ])
        #expect(wrong.failure?.contains("for another reason than hashMismatch: noImage") == true)
        let activated = try run([
            .await(.verified, devices: ["ESME"]), .activate(devices: ["ESME"], expect: .refused),
        ])
        #expect(activated.failure?.hasSuffix("ESME did not refuse to activate") == true)
    }

    @Test("waiting for an image to be verified ends when the device has rejected it")
    func hopeless() throws {
        let forged = Homes.image(for: esme, by: Homes.key(2))
        let result = try run([.await(.verified, devices: ["ESME"])], image: forged)
        #expect(
            result.failure?.hasSuffix("not 'verified': ESME (rejected: badSignature)") == true)
        #expect(result.summary.virtualTime < .minutes(5))
        let reason = try run(
            [.await(.rejected, devices: ["ESME"], reason: "sizeMismatch")], image: forged)
        #expect(
            reason.failure?.hasSuffix(
                "ESME (rejected: badSignature), where the reason was to be sizeMismatch") == true)
    }

    @Test("the power can be cut once so many bytes are there, and comes back by itself")
    func cutAtOffset() throws {
        let folder = try TemporaryFolder()
        let result = try run(
            [
                .await(.downloading, devices: ["ESME"], offset: 12_000),
                .power(device: "ESME", on: false, duration: .seconds(30)),
                .expect(.incomplete, devices: ["ESME"]), .await(.verified, devices: ["ESME"]),
            ], image: Homes.image(for: esme, size: 20_000), folder: folder.path)
        #expect(result.failure == nil)
        let events = try Events(folder)
        let cut = try #require(events.index("poweredOff"))
        let before = events.values("otaProgress", "offset", before: cut)
        #expect(before.last.map { (12_000...13_000).contains($0) } == true)
        let resumed = try #require(events.index("otaDownloadResumed"))
        #expect(events.time(resumed) - events.time(cut) > 30)
    }

    @Test("more bytes than the image has are not waited for once the device has all of it")
    func beyondTheEnd() throws {
        let result = try run([.await(.downloading, devices: ["ESME"], offset: 100_000)])
        #expect(result.failure?.contains("not 'downloading' to byte 100000: ESME (") == true)
        #expect(result.summary.virtualTime < .minutes(5))
    }

    @Test("how an attempt stands can be expected, and is told where it is otherwise")
    func expectation() throws {
        let result = try run([
            .await(.verified, devices: ["ESME"]), .expect(.notActivated, devices: ["ESME"]),
            .expect(.updated, devices: ["ESME"]),
        ])
        #expect(result.failure?.hasPrefix("step 5,") == true)
        #expect(result.failure?.hasSuffix("not 'updated': ESME (notActivated)") == true)
    }

    @Test("a scenario can wait for a moment, and fails if it has passed")
    func moment() throws {
        let two = UTCTime(secondsSince2000: Homes.start.secondsSince2000 + 7_200)
        let result = try run([.waitUntil(two), .waitUntil(two)])
        // The step's end, and the run's a millisecond after it.
        #expect(
            (Interval.hours(2)...(.hours(2) + .milliseconds(2))).contains(
                result.summary.virtualTime))
        #expect(result.failure == nil)
        let late = try run([.wait(.hours(3)), .waitUntil(two)])
        #expect(
            late.failure?.hasSuffix("the moment had passed when the step began") == true)
    }

    @Test("a run whose time is up fails at its step, and the events say so")
    func timeLimit() throws {
        let folder = try TemporaryFolder()
        var scenario = Homes.scenario([.join(devices: ["ESME"]), .wait(.hours(20))])
        scenario.timeLimit = .hours(1)
        let runner = Runner(
            home: Homes.home([esme]), scenario: scenario, images: [:],
            options: RunOptions(folder: folder.path))
        let result = try runner.run { 0 }
        #expect(result.failure?.hasPrefix("step 2,") == true)
        #expect(result.failure?.hasSuffix("the scenario's time limit ran out") == true)
        #expect(result.summary.virtualTime == .hours(1) + .milliseconds(1))
        let events = try Events(folder)
        #expect(events.lines.last?.contains(#""event":"runEnded","passed":false"#) == true)
    }

    @Test("a machine that loses what it puts out fails the run, and is named")
    func lostOutput() throws {
        var director = Director(
            scenario: Homes.scenario([.join(devices: ["ESME"])]), images: [:],
            members: [("CH", EUI64(1), nil, 1), ("ESME", EUI64(2), nil, 1)],
            wanPerByte: .microseconds(1),
            wanChunk: 1_024)
        var out = Outbox()
        director.handle(.powerOn, at: .zero, into: &out)
        let event = EventRecord(time: .zero + .seconds(3), node: 1, kind: .outputLost, 7)
        #expect(event.kind.isMilestone)
        director.handle(.observed(event), at: .zero + .seconds(4), into: &out)
        #expect(director.passed == false)
        #expect(director.failure?.message.hasPrefix("ESME lost 7 of its outputs") == true)
        #expect(director.nextDeadline == .distantFuture)
    }

    @Test("a run that is stopped leaves a whole capture that can be read, and says where it was")
    func stopped() throws {
        let folder = try TemporaryFolder()
        let runner = Runner(
            home: Homes.home([esme]),
            scenario: Homes.scenario(Stories.update("ESME")),
            images: ["ESME": Homes.image(for: esme)], options: RunOptions(folder: folder.path))
        var turns = 0
        var early: [Bool] = []
        let result = try runner.run(isStopped: {
            turns += 1
            if turns == 1 || turns == 600 {
                let keys = try? String(
                    contentsOfFile: folder.path("zigbee_pc_keys"), encoding: .utf8)
                early.append(keys?.contains("link key") == true)
                early.append(keys?.contains("network key") == true)
            }
            return turns >= 600
        }) { 0 }
        // Link keys are known from the start, the network key once there is a network.
        #expect(early == [true, false, true, true])
        #expect(result.isInterrupted)
        #expect(result.summary.outcome == .failed)
        #expect(result.failure?.hasPrefix("stopped in step ") == true)
        let summary = try String(contentsOfFile: folder.path("summary.json"), encoding: .utf8)
        #expect(summary.contains(#""outcome": "failed""#))
        #expect(summary.contains(#""failure": "stopped in step "#))
        let verdict = try Tshark.judge(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys"))
        #expect(verdict.complaints.isEmpty)
        #expect(verdict.frames == Int(result.summary.frames))
        #expect(try Events(folder).lines.allSatisfy { $0.hasSuffix("}") })
    }
}

/// The lines of an `events.jsonl`.
private struct Events {
    let lines: [String]

    init(_ folder: TemporaryFolder) throws {
        let text = try String(contentsOfFile: folder.path("events.jsonl"), encoding: .utf8)
        lines = text.split(separator: "\n").map(String.init)
    }

    func index(_ event: String) -> Int? {
        lines.firstIndex { $0.contains(#""event":"\#(event)""#) }
    }

    func time(_ line: Int) -> Double { number("time", in: lines[line]) ?? -1 }

    func values(_ event: String, _ field: String, before: Int) -> [Double] {
        lines[..<before].filter { $0.contains(#""event":"\#(event)""#) }
            .compactMap { number(field, in: $0) }
    }

    private func number(_ field: String, in line: String) -> Double? {
        line.components(separatedBy: #""\#(field)":"#).dropFirst().first.flatMap {
            Double($0.prefix { $0.isNumber || $0 == "." })
        }
    }
}
