import Air
import Devices
import Evidence
import Foundation
import GBCS
import Lab
import Radio
import TestSupport
import Testing
import Wire
import Zigbee

/// A home whose devices answer every message with one as long. That none of them is a GBCS message
/// is their application's affair: this is about the way there and back.
private final class EchoHome {
    let live: LiveHome
    let devices: Int
    /// The sizes of what each device has heard.
    private(set) var heard: [Int: [UInt64]] = [:]
    private var answered = 0

    init(
        _ devices: [HomeDevice], hub: HomeHub = Homes.hub(),
        change: (inout Home) -> Void = { _ in }
    ) {
        var home = Homes.home(devices, hub: hub)
        change(&home)
        live = LiveHome(home, images: [], [])
        self.devices = devices.count
    }

    /// Runs, and lets devices answer as soon as they have heard something.
    func run(for time: Interval) {
        let limit = live.now + time
        while live.step(until: limit) {
            let arrived = live.events(.tunnelMessageReceived).filter { $0.node != 0 }
            for event in arrived.dropFirst(answered) {
                let (node, size) = (Int(event.node), event.values[1])
                heard[node, default: []].append(size)
                live.act(for: node) { member, now, out in
                    let answer = TunnelStories.message(Int(size), seed: 2)
                    _ = member.device?.send(message: answer, at: now, into: &out)
                    member.handle(.tick, at: now, into: &out)
                }
            }
            answered = arrived.count
        }
    }

    func send(_ message: [UInt8], to device: HomeDevice) {
        live.give(.wan(.message(device: device.eui64, bytes: message)), to: 0)
    }

    /// The sizes of what the hub has passed on to the WAN from a device.
    func answers(of device: HomeDevice) -> [UInt64] {
        live.events(.tunnelMessageReceived).filter {
            $0.node == 0 && $0.values[0] == device.eui64.rawValue
        }
        .map { $0.values[1] }
    }
}

@Suite("Messages through tunnels")
struct TunnelStories {
    static func message(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var stream = SeededStream(Seed(seed).named("message"))
        return stream.bytes(count)
    }

    @Test("messages of up to 1,500 bytes reach every kind of device and come back to the WAN")
    func everyDevice() {
        let devices = [
            Homes.device(.esme), Homes.device(.gsme), Homes.device(.ppmid), Homes.device(.hcalcs),
        ]
        let home = EchoHome(devices, hub: Homes.hub(firmware: 0x0200_0000))
        home.run(for: .minutes(2))
        // One at either end of each.
        #expect(home.live.events(.tunnelOpened).count == 8)
        let sizes = [1, 60, 200, 1_500]
        for device in devices {
            for size in sizes {
                home.send(Self.message(size), to: device)
            }
        }
        home.run(for: .minutes(40))
        for (index, device) in devices.enumerated() {
            #expect(home.heard[index + 1] == sizes.map(UInt64.init), "\(device.name)")
            #expect(home.answers(of: device) == sizes.map(UInt64.init), "\(device.name)")
        }
        #expect(home.live.events(.tunnelMessageLost).isEmpty)
        #expect(home.live.events(.outputLost).isEmpty)
    }

    @Test("a GSME learns at its next wake that messages wait, and fetches them one by one")
    func mailbox() {
        let gsme = Homes.device(.gsme)
        let home = EchoHome([gsme])
        home.run(for: .minutes(5))
        let began = home.live.now
        for seed in UInt64(1)...3 { home.send(Self.message(700, seed: seed), to: gsme) }
        home.run(for: .minutes(1))
        #expect(home.heard[1] == nil)
        home.run(for: .minutes(31))
        #expect(home.heard[1] == [700, 700, 700])
        let flags = home.live.events(.notificationFlags)
        #expect(flags.first.map { $0.values[0] & 1 << 21 != 0 } == true)
        let fetched = home.live.events(.tunnelMessageSent).filter { $0.node == 0 }
        #expect(fetched.count == 3)
        // All in one wake.
        let times = fetched.map(\.time)
        #expect(times.max()! - times.min()! < .seconds(10) && times.min()! > began)
        #expect(home.answers(of: gsme) == [700, 700, 700])
        // There is nothing more to be told.
        home.run(for: .minutes(31))
        #expect(home.live.events(.notificationFlags).count == flags.count)
    }

    @Test("a message that its GSME does not fetch in 24 hours is thrown away, and the hub says so")
    func notRetrieved() {
        let gsme = Homes.device(.gsme)
        let home = EchoHome([gsme])
        home.run(for: .minutes(5))
        home.live.act(for: 2) { _, _, out in out.append(.power(of: 1, on: false)) }
        home.run(for: .seconds(1))
        home.send(Self.message(100), to: gsme)
        home.run(for: .hours(23))
        #expect(home.live.events(.tunnelMessageNotRetrieved).isEmpty)
        home.run(for: .hours(2))
        let lost = home.live.events(.tunnelMessageNotRetrieved)
        #expect(lost.count == 1 && lost[0].values[0] == gsme.eui64.rawValue)
        #expect(lost[0].values[1] == 100)
        // 819D from the CHF to the Access Control Broker.
        let alert = home.live.received.filter { $0.code == .genericNonCriticalAlert }
        #expect(alert.count == 1)
        guard case .genericAlert(let content) = alert.first?.content else {
            Issue.record("no generic alert")
            return
        }
        #expect(content.code == .commandNotRetrieved)
    }

    @Test("what waits is bounded, what is too long or for a stranger is refused")
    func bounds() {
        let gsme = Homes.device(.gsme)
        var hub = Homes.hub()
        hub.profile.tunnel.queueMessages = 20
        hub.profile.mail.queueBytes = 10_000
        let home = EchoHome([gsme], hub: hub)
        home.run(for: .minutes(5))
        for _ in 0..<8 { home.send(Self.message(1_500), to: gsme) }
        for _ in 0..<20 { home.send([1], to: gsme) }
        home.send([], to: gsme)
        home.send(Self.message(1_501), to: gsme)
        home.live.give(.wan(.message(device: EUI64(77), bytes: [1])), to: 0)
        let reasons = home.live.events(.tunnelMessageLost).compactMap {
            RefusalReason(rawValue: UInt8($0.values[2]))
        }
        // Six of 1,500 bytes and fourteen of one.
        #expect(
            reasons == [.queueFull, .queueFull] + Array(repeating: .queueFull, count: 6) + [
                .messageTooLong, .messageTooLong, .notInDeviceLog,
            ])
        home.run(for: .hours(2))
        #expect(home.heard[1]?.count == 20)
    }

    @Test("a device that restarts has no tunnel, and the message that shows it is sent again")
    func restarted() {
        let esme = Homes.device(.esme)
        let home = EchoHome([esme])
        home.run(for: .minutes(2))
        home.live.restart(1)
        home.run(for: .seconds(30))
        home.send(Self.message(900), to: esme)
        home.run(for: .minutes(2))
        #expect(home.heard[1] == [900])
        #expect(home.answers(of: esme) == [900])
    }

    @Test("a hub that restarts opens its tunnels anew, and a GSME asks it for one")
    func hubRestarted() {
        let devices = [Homes.device(.esme), Homes.device(.gsme)]
        let home = EchoHome(devices)
        home.run(for: .minutes(5))
        home.live.restart(0)
        home.run(for: .minutes(2))
        for device in devices { home.send(Self.message(300), to: device) }
        home.run(for: .hours(1))
        #expect(home.heard[1] == [300] && home.heard[2] == [300])
        #expect(home.answers(of: devices[0]) == [300] && home.answers(of: devices[1]) == [300])
    }

    @Test("a device struck off the log loses its tunnel; back in the log it gets another")
    func removed() {
        let esme = Homes.device(.esme)
        let home = EchoHome([esme])
        home.run(for: .minutes(2))
        let opened = home.live.events(.tunnelOpened).count
        home.live.give(.order(.removeDevice(esme.eui64)), to: 0)
        home.send([1, 2, 3], to: esme)
        home.run(for: .minutes(1))
        #expect(home.heard[1] == nil)
        #expect(home.live.events(.tunnelClosed).contains { $0.node == 0 })
        home.live.give(
            .order(.addDevice(esme.eui64, linkKey: esme.installCode.linkKey)), to: 0)
        home.run(for: .minutes(20))
        #expect(home.live.events(.tunnelOpened).count == opened + 2)
        home.send([4, 5, 6], to: esme)
        home.run(for: .minutes(1))
        #expect(home.heard[1] == [3])
    }

    @Test("a message crosses while the network key changes, and through a router that loses frames")
    func keyChange() {
        let router = Homes.device(.hcalcs) { $0.isRouter = true }
        let gsme = Homes.device(.gsme)
        let home = EchoHome([router, gsme, Homes.device(.esme)]) { home in
            home.links = [
                HomeLink(from: "CH", to: "GSME", link: Link(rssi: -120)),
                HomeLink(from: "CH", to: "HCALCS", link: Link(rssi: -60, lossPerMillion: 100_000)),
            ]
        }
        home.run(for: .minutes(10))
        home.live.give(.order(.updateNetworkKey), to: 0)
        for seed in UInt64(1)...6 {
            home.send(Self.message(1_500, seed: seed), to: Homes.device(.esme))
            home.send(Self.message(1_500, seed: seed), to: gsme)
            home.run(for: .seconds(10))
        }
        home.run(for: .hours(2))
        let all = Array(repeating: UInt64(1_500), count: 6)
        #expect(home.heard[2] == all && home.heard[3] == all)
        #expect(home.answers(of: gsme).count == 6)
    }

    @Test("an image in the hub's store is told to a GSME as a flag, which it then asks for")
    func newFirmware() {
        let gsme = Homes.device(.gsme) { $0.ota.queryInterval = .hours(24) }
        let image = Homes.image(for: gsme)
        let live = LiveHome(
            Homes.home([gsme]), images: [image],
            [
                .join(devices: ["GSME"]), .wait(.minutes(10)),
                .deliver(image: "GSME", to: ["GSME"]),
            ])
        live.run(for: .hours(6))
        let flags = live.events(.notificationFlags)
        #expect(flags.map { $0.values[0] } == [1])
        #expect(live.events(.otaVerified).count == 1)
    }

    @Test("tshark finds nothing wrong with the tunnels of a home and the messages in them")
    func judged() throws {
        let scratch = try TemporaryFolder()
        let devices = [Homes.device(.esme), Homes.device(.gsme)]
        let runner = Stories.runner(
            Homes.home(devices), images: [],
            [
                .join(devices: ["ESME", "GSME"]), .wait(.minutes(5)),
                .message(to: "ESME", Self.message(1_500)),
                .message(to: "GSME", Self.message(1_500)),
                .wait(.minutes(35)),
            ], named: "tunnels", folder: scratch.path("out"))
        let result = try runner.run { 0 }
        #expect(result.failure == nil)
        let folder = scratch.path("out")
        let capture = folder + "/trace.pcapng"
        let verdict = try Tshark.judge(capture: capture, keys: folder)
        #expect(verdict.complaints.isEmpty)
        let rows = try Tshark.rows(
            capture: capture, keys: folder,
            fields: ["zbee_aps.reassembled.length", "zbee_aps.cluster"])
        let lengths = rows.compactMap { $0["zbee_aps.reassembled.length"] }
        // ZCL header 3, tunnel ID 2; for the GSME two bytes more.
        #expect(lengths == ["1505", "1507"])
    }
}
