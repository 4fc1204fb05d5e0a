import Crypto
import DCC
import GBCS
import Testing
import Wire

@Suite("Whatever happens, in whatever order")
struct ChanceStories {
    /// Plays a seeded campaign: requests, answers, time and restarts as they come.
    private func play(_ seed: UInt64, restarts: Bool) throws -> Town {
        var dice = SeededStream(Seed(seed).named("campaign"))
        // Of its own, so that restarts shift nothing.
        var interruptions = SeededStream(Seed(seed).named("restarts"))
        func roll(_ n: UInt64) -> UInt64 { dice.next() % n }
        var town = try Town {
            $0.defaultRegion.capacity = 2
            $0.defaultRegion.attempts = 2
            $0.updateTimeout = 40_000
            $0.activationTimeout = 40_000
            $0.commandTimeout = 5_000
        }
        let meters = [Town.esme, Town.gsme, Town.hcalcs]
        var answered = 0
        for _ in 0..<120 {
            switch roll(7) {
            case 0: _ = town.update([meters[Int(roll(3))]])
            case 1: _ = town.update([Town.ppmid])
            case 2:
                let id = town.id(meters[Int(roll(3))])
                town.submit(town.request(id, "11.2", 1, .readFirmwareVersion(execution: nil)))
            case 3, 4:
                guard answered < town.deliveries.count else { break }
                let number = town.deliveries[answered].number
                answered += 1
                switch roll(4) {
                case 0: town.hear(.refused(delivery: number, reason: "no room"))
                case 1: town.hear(.unreachable(delivery: number))
                case 2: break
                default:
                    town.hear(.stored(delivery: number))
                    if roll(2) == 0 { town.hear(.stored(delivery: number)) }
                }
            default: town.wait(UInt32(roll(3_000)))
            }
            if restarts, interruptions.next() % 4 == 0 { town.restart() }
        }
        town.wait(200_000)
        return town
    }

    @Test("every update ends, each is told of once, and nothing is left over", arguments: 0..<30)
    func ends(seed: UInt64) throws {
        for restarts in [false, true] {
            let town = try play(seed, restarts: restarts)
            #expect(!town.dcc.isBusy)
            #expect(
                town.records.keys.allSatisfy {
                    [.seen, .counters, .device, .former].contains($0.kind)
                }, "\(town.records.keys)")
            for case .former(let former) in town.records.values {
                #expect(former.status.isFinal && former.deadline == nil, "\(former)")
            }
            #expect(town.notices.map(\.number) == Array(1...UInt64(max(1, town.notices.count))))
            // One N60 or N61 for each device of each request that a CSP was given, or N60 after N61
            // where the hub had it after all.
            var told: [RequestID: [Bool]] = [:]
            for notice in town.notices {
                guard
                    case .dccAlert(_, .deliveryStatus(let request, _, _, _, _, let isSuccess)) =
                        notice.response.body
                else { continue }
                told[request, default: []].append(isSuccess)
            }
            #expect(
                told.values.allSatisfy { $0.count == 1 || $0 == [false, true] }, "\(told)")
            let atCSP = town.items.count { item in
                if case .track(let record) = item { record.status == .atCSP } else { false }
            }
            #expect(told.count == atCSP)
        }
    }

    @Test("the same campaign gives the same output, item by item", arguments: 0..<5)
    func repeats(seed: UInt64) throws {
        let (one, other) = try (play(seed, restarts: true), play(seed, restarts: true))
        #expect(one.notices == other.notices)
        #expect(one.deliveries == other.deliveries)
        #expect(one.records == other.records)
        #expect(one.items.count == other.items.count)
    }
}
