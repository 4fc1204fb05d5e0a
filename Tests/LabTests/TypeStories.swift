import Devices
import GBCS
import Lab
import Testing
import Wire

@Suite("Devices that have to say what they are")
struct TypeStories {
    /// A home of that many devices whose hub has forgotten what they are.
    private func home(_ count: Int, _ type: DeviceType = .hcalcs) throws -> LiveHome {
        let devices = (1...count).map {
            Homes.device(type, name: "\(type.rawValue)-\($0)", number: UInt64($0))
        }
        let live = LiveHome(
            Homes.home(devices), images: [], [.join(devices: devices.map(\.name))])
        for node in 1...count { live.run(untilEvent: .clockSet, of: UInt16(node)) }
        live.run(for: .minutes(1))
        // Also the types that the home file has for its log.
        try live.rewriteDeviceLog { entry in entry[8] = 0xFF }
        return live
    }

    private func described(_ live: LiveHome) -> [UInt64] {
        live.events(.deviceDescribed).map { $0.values[0] }
    }

    @Test("more than can be asked at once are all asked after a start, one after another")
    func many() throws {
        let live = try home(20)
        live.restart(0)
        live.run(untilEvent: .deviceDescribed, of: 0, count: 20)
        #expect(Set(described(live)).count == 20)
        let resumed = try #require(live.events(.networkResumed).first { $0.node == 0 })
        #expect(live.now < resumed.time + .minutes(2))
        live.run(for: .hours(3))
        #expect(described(live).count == 20)
        #expect(live.events(.outputLost).isEmpty)
    }

    @Test("one that does not hear the question is asked again, until it has answered")
    func again() throws {
        let live = try home(2)
        live.link(0, 1, lossPerMillion: 1_000_000)
        live.restart(0)
        live.run(untilEvent: .networkResumed, of: 0)
        live.run(for: .minutes(10))
        #expect(described(live) == [Homes.device(.hcalcs, number: 2).eui64.rawValue])
        live.link(0, 1, lossPerMillion: 0)
        live.run(for: .hours(1))
        #expect(described(live).count == 2)
    }

    @Test("a sleeper is asked when it polls")
    func sleeper() throws {
        let live = try home(1, .gsme)
        live.restart(0)
        live.run(untilEvent: .networkResumed, of: 0)
        live.run(for: .hours(1))
        #expect(described(live).count == 1)
        let mirrored = live.events(.mirrorAllotted).count
        #expect(mirrored == 1)
    }

    @Test("one that is struck off is not asked any more")
    func gone() throws {
        let live = try home(1)
        live.power(of: 1, on: false)
        live.restart(0)
        live.run(untilEvent: .networkResumed, of: 0)
        live.run(for: .minutes(1))
        live.give(.order(.removeDevice(Homes.device(.hcalcs).eui64)), to: 0)
        live.run(for: .minutes(10))
        let after = live.events(.transmitFailed).count
        live.run(for: .hours(3))
        #expect(live.events(.transmitFailed).count == after)
        #expect(described(live).isEmpty)
    }
}
