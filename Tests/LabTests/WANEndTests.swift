import DCC
import Lab
import Radio
import Simulation
import Testing
import Wire

/// A home with the CSP's end of its WAN, that a test runs itself, and that can be begun again with
/// the flash that it had.
final class ServedHome {
    let cast: HomeCast
    private var simulation: Simulation<HomeNode>
    private let start: UTCTime
    private(set) var outputs: [WANEnd.Output] = []
    /// Pages as they were last taken, by member.
    private var pages: [[Int: [UInt8]]]

    init(_ home: Home, start: UTCTime = Homes.start) {
        cast = HomeCast(home, last: "csp")
        self.start = start
        pages = Array(repeating: [:], count: cast.roster.members.count)
        simulation = Self.make(cast, start, pages)
    }

    private static func make(
        _ cast: HomeCast, _ start: UTCTime, _ pages: [[Int: [UInt8]]]
    ) -> Simulation<HomeNode> {
        Simulation(
            air: cast.makeAir(seed: Seed(5), sink: nil), members: cast.roster.members.count,
            seed: Seed(5)
        ) { node, flash in
            for (page, bytes) in pages[node] {
                UnsafeMutableRawBufferPointer(rebasing: flash[(page * bytes.count)...])
                    .copyBytes(from: bytes)
            }
        } make: { index in
            index == cast.directorIndex
                ? cast.makeWANEnd(start: start, seed: Seed(5))
                : cast.makeMember(index, start: start, seed: Seed(5))
        }
    }

    /// Takes the pages that have changed; how many.
    @discardableResult
    func save() -> Int {
        var count = 0
        simulation.takeFlashChanges { node, page, bytes in
            pages[node][page] = [UInt8](bytes)
            count += 1
        }
        return count
    }

    /// Begins again with what was saved last; what was told before that is forgotten.
    func restart() {
        simulation = Self.make(cast, start.advanced(by: .hours(1)), pages)
        outputs = []
    }

    func csp(_ body: (inout WANEnd, Instant, inout Outbox) -> Void) {
        simulation.act(for: cast.directorIndex) { node, now, out in
            body(&node.wanEnd!, now, &out)
            node.handle(.tick, at: now, into: &out)
        }
        // What comes of it at once is told, even if nothing else happens for hours.
        drain()
    }

    private func drain() {
        simulation.change(cast.directorIndex) { outputs += $0.wanEnd!.takeOutputs() }
    }

    var end: WANEnd { simulation.nodes[cast.directorIndex].wanEnd! }
    var now: Instant { simulation.now }

    func run(for time: Interval, until isSo: ([WANEnd.Output]) -> Bool = { _ in false }) {
        let limit = simulation.now + time
        while !isSo(outputs), simulation.step(until: limit) { drain() }
        simulation.advance(to: limit)
    }

    func flash(_ node: Int) -> [UInt8] {
        simulation.flashView(of: node).read(0, count: cast.flash(of: node).size)
    }
    func version(_ node: Int) -> UInt32? {
        simulation.nodes[node].device?.version ?? simulation.nodes[node].hub?.version
    }
}

extension WANEnd.Output {
    /// Of a download.
    var percent: Int? {
        if case .progress(_, .downloading(_, let percent)) = self { percent } else { nil }
    }

    /// In words, without what a test does not ask for.
    var words: String {
        switch self {
        case .message(.stored(let delivery)): "stored \(delivery)"
        case .message(.refused(let delivery, let reason)): "refused \(delivery): \(reason)"
        case .message(.unreachable(let delivery)): "unreachable \(delivery)"
        case .message(.sent(let delivery)): "sent \(delivery)"
        case .message(.message): "message"
        case .progress(_, .offered(let version)): "offered \(version)"
        case .progress(_, .downloading(_, let percent)): "downloading \(percent)"
        case .progress(_, .downloaded(let version)): "downloaded \(version)"
        case .running(_, let version): "running \(version)"
        case .hubUpdate(let words): "hub: \(words)"
        case .event: "event"
        }
    }
}

@Suite("The CSP's end of a hub's WAN")
struct WANEndTests {
    private static let new: UInt32 = 0x0300_0000

    private func home(hub: UInt32 = 0x0200_0000) -> (Home, HomeDevice) {
        let ppmid = Homes.device(.ppmid)
        return (Homes.home([ppmid, Homes.device(.esme)], hub: Homes.hub(firmware: hub)), ppmid)
    }

    @Test("an image goes to the hub, and all that becomes of it is told in order")
    func delivery() {
        let (home, ppmid) = home()
        let served = ServedHome(home)
        served.run(for: .minutes(5))
        let image = Homes.image(for: ppmid, version: Self.new)
        served.csp { end, now, _ in
            end.deliver(
                7, to: [ppmid.eui64], image: image.bytes, installableFrom: [], at: now)
        }
        served.run(for: .hours(30)) { $0.contains { $0.words == "running \(Self.new)" } }
        let words = served.outputs.map(\.words).filter { !$0.hasPrefix("downloading") }
        let told = words.drop { $0 != "sent 7" }.filter { $0 != "message" }
        // The hub offers the image to those who ask while its word is still on the WAN.
        #expect(Set(told.prefix(3)) == ["sent 7", "stored 7", "offered \(Self.new)"])
        #expect(told.dropFirst(3) == ["downloaded \(Self.new)", "running \(Self.new)"])
        // Each percent once, upwards.
        let percents = served.outputs.compactMap(\.percent)
        #expect(percents == percents.sorted() && Set(percents).count == percents.count)
        #expect(percents.count > 30)
        // CCS08 comes over the WAN before CS09.
        served.run(for: .minutes(10))
        #expect(served.outputs.count { $0.words == "message" } >= 2)
        let isBusy = served.end.isBusy
        #expect(!isBusy)
    }

    @Test(
        "a hub from before SECMP0007 refuses a PPMID's image, or says nothing, as its profile says",
        arguments: [true, false])
    func oldHub(silent: Bool) {
        let ppmid = Homes.device(.ppmid)
        let hub = Homes.hub {
            $0.firmware[0].value.discardsSilently = silent
        }
        let served = ServedHome(Homes.home([ppmid], hub: hub))
        served.run(for: .minutes(5))
        served.csp { end, now, _ in
            end.deliver(
                3, to: [ppmid.eui64], image: Homes.image(for: ppmid, version: Self.new).bytes,
                installableFrom: [],
                at: now)
        }
        served.run(for: .hours(1))
        let words = served.outputs.map(\.words)
        #expect(words.contains("sent 3"))
        #expect(words.contains("refused 3: hubLacksSupport") == !silent)
        #expect(!words.contains("stored 3"))
    }

    @Test(
        "a hub without power is not reached; a message and its own image wait until it runs")
    func noPower() {
        let (home, ppmid) = home(hub: 0x0100_0000)
        let served = ServedHome(home)
        served.run(for: .minutes(5))
        served.csp { _, _, out in out.append(.power(of: 0, on: false)) }
        served.run(for: .seconds(1))
        #expect(served.end.members[0].power == .off)
        let own = Homes.image(for: home.hub)
        served.csp { end, now, out in
            end.deliver(
                1, to: [ppmid.eui64], image: Homes.image(for: ppmid, version: Self.new).bytes,
                installableFrom: [],
                at: now)
            end.updateHub(own, byMessage: true, at: now, into: &out)
        }
        #expect(served.outputs.last?.words == "unreachable 1")
        served.run(for: .hours(1))
        let words = served.outputs.map(\.words)
        #expect(words.count { $0 == "unreachable 1" } == 1, "\(words)")
        #expect(served.version(0) == 0x0100_0000)
        #expect(served.end.isBusy)
        served.csp { _, _, out in out.append(.power(of: 0, on: true)) }
        served.run(for: .minutes(10))
        #expect(served.version(0) == own.version)
        #expect(served.outputs.contains { $0.words == "hub: the hub runs 0x02000000" })
        let isBusy = served.end.isBusy
        #expect(!isBusy)
    }

    @Test(
        "the hub's own update outlives a restart at any moment of it", arguments: [true, false])
    func ownUpdate(byMessage: Bool) {
        let (home, _) = home(hub: 0x0100_0000)
        let own = Homes.image(for: home.hub)
        for cut in [0, 100, 400, 700, 1_500, 5_000, 30_000] {
            let served = ServedHome(home)
            served.run(for: .minutes(5))
            served.csp { end, now, out in
                end.updateHub(own, byMessage: byMessage, at: now, into: &out)
            }
            served.run(for: .milliseconds(Int64(cut)))
            served.save()
            served.restart()
            served.run(for: .milliseconds(10))
            if let hash = served.end.missingHubImage {
                #expect(hash == own.hash)
                served.csp { end, now, out in
                    end.resumeHubUpdate(own.bytes, at: now, into: &out)
                }
            }
            served.run(for: .minutes(10))
            #expect(served.version(0) == own.version, "cut after \(cut) ms")
            #expect(!served.end.isBusy as Bool, "cut after \(cut) ms")
        }
    }

    @Test(
        "a home begun again with its pages has what it had, and writes no page twice")
    func pages() {
        let (home, ppmid) = home()
        let served = ServedHome(home)
        served.run(for: .minutes(5))
        #expect(served.save() > 2)
        #expect(served.save() == 0)
        served.csp { end, now, _ in
            end.deliver(
                1, to: [ppmid.eui64],
                image: Homes.image(for: ppmid, version: Self.new, size: 60_000).bytes,
                installableFrom: [], at: now)
        }
        served.run(for: .hours(1)) { $0.contains { ($0.percent ?? 0) >= 40 } }
        #expect(!served.outputs.contains { $0.words == "downloaded \(Self.new)" })
        // The image in the hub's slot and a part of it in the device, and no page beside.
        let changed = served.save()
        #expect((60_000 / 4_096..<40).contains(changed))
        let before = (0..<3).map { served.flash($0) }
        served.restart()
        #expect((0..<3).map { served.flash($0) } == before)
        served.run(for: .hours(2)) { $0.contains { $0.words == "running \(Self.new)" } }
        // It goes on where it was: what was downloaded is not fetched again.
        #expect((served.outputs.compactMap(\.percent).first ?? 0) > 30)
        #expect(served.version(1) == Self.new)
        #expect(served.outputs.contains { $0.words == "running \(Self.new)" })
    }
}
