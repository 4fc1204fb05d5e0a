import Air
import Evidence
import Foundation
import GBCS
import Lab
import Radio
import TestSupport
import Testing
import Wire

/// A carrier whose nodes answer late and in any order, as processes would.
final class TardyCarrier {
    private let air: Air
    private var nodes: ContiguousArray<HomeNode>
    private var flash: [FlashMemory]
    private let make: (Int) -> HomeNode
    private let seed: Seed
    private var stream: SeededStream
    private var outstanding: [Turn] = []
    private var out = Outbox()
    /// The most turns that were out at once.
    private(set) var most = 0

    init(_ runner: Runner, seed: Seed, order: UInt64, sink: EvidenceSink) {
        air = runner.makeAir(sink: sink)
        let count = runner.roster.members.count
        nodes = ContiguousArray((0..<count).map(runner.makeNode))
        let air = air
        flash = (0..<count).map { FlashMemory(geometry: air.flashGeometry(of: $0)) }
        make = runner.makeNode
        self.seed = seed
        stream = SeededStream(Seed(order).named("tardy"))
    }

    func run() {
        while true {
            var turn = Turn()
            // Now and then an answer comes before the air has given out all that it could.
            let isPatient = outstanding.isEmpty || stream.next() % 4 != 0
            switch isPatient ? air.next(until: .distantFuture, into: &turn) : .owed {
            case .turn:
                outstanding.append(turn)
                most = max(most, outstanding.count)
            case .owed: answerOne()
            case .rest:
                air.finishEvidence()
                return
            }
        }
    }

    private func answerOne() {
        let turn = outstanding.remove(at: Int(stream.next() % UInt64(outstanding.count)))
        if case .powerOn = turn.input {
            if turn.cutAt != .distantFuture {
                flash[turn.node].cutPower(
                    at: turn.cutAt, dice: FlashMemory.dice(of: turn.node, seed: seed))
            }
            nodes[turn.node] = make(turn.node)
        }
        out.removeAll()
        out.node = UInt16(turn.node)
        out.now = turn.time
        out.flash = flash[turn.node].view
        out.wantsDetail = air.wantsDetail
        out.frame = turn.frame
        nodes[turn.node].handle(turn.input, at: turn.time, into: &out)
        if out.writesFlash { flash[turn.node].carryOut(out, at: turn.time) }
        air.accept(out, from: turn.node, nextDeadline: nodes[turn.node].nextDeadline)
    }
}

@Suite("Answers that come late")
struct LateAnswerStories {
    /// Runs the story once with every answer at once, and with late ones; the evidence must be the
    /// same to the byte. Returns the most turns that were out at a time.
    private func compare(_ runner: (String) throws -> Runner, seed: UInt64) throws -> Int {
        let prompt = try TemporaryFolder()
        let first = try runner(prompt.path)
        let result = try first.run { 0 }
        #expect(result.failure == nil)
        var most = 0
        for order in 1...3 as ClosedRange<UInt64> {
            let late = try TemporaryFolder()
            let runner = try runner(late.path)
            let recorder = try Recorder(
                roster: runner.roster, start: runner.scenario.start,
                steps: runner.scenario.steps.map(\.title),
                folder: OutputFolder(preparing: late.path),
                useCases: { MessageCode(rawValue: $0).useCase },
                read: { MessageAccount(of: $0) })
            let carrier = TardyCarrier(runner, seed: Seed(seed), order: order, sink: recorder)
            carrier.run()
            try recorder.finish()
            most = max(most, carrier.most)
            for file in ["trace.pcapng", "events.jsonl"] {
                let (expected, found) = try (
                    Data(contentsOf: prompt.url.appending(path: file)),
                    Data(contentsOf: late.url.appending(path: file))
                )
                #expect(expected == found, "\(file), order \(order)")
            }
        }
        return most
    }

    @Test("change nothing in the demo, and turns do go out ahead of them")
    func demo() throws {
        let most = try compare({ try Demo.runner(folder: $0) }, seed: 1)
        #expect(most > 1)
    }

    @Test("change nothing in a home with losses", arguments: 1...5)
    func lossy(_ seed: Int) throws {
        let seed = UInt64(seed)
        _ = try compare({ try LossStories.runner(seed: seed, folder: $0) }, seed: seed)
    }
}
