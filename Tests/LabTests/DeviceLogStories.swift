import Air
import Evidence
import GBCS
import Lab
import TestSupport
import Testing
import Wire

@Suite("Devices that are struck off the device log, and put back")
struct DeviceLogStories {
    /// A home in which the HCALCS stands between the hub and the PPMID.
    private static func behindRouter() -> Home {
        var home = Homes.home([Homes.device(.hcalcs) { $0.isRouter = true }, Homes.device(.ppmid)])
        home.hub = Homes.hub(firmware: 0x0200_0000)
        home.links = [HomeLink(from: "CH", to: "PPMID", link: Link(rssi: -110))]
        return home
    }

    private static func missedLeave(
        _ home: Home, _ name: String, others: [String] = []
    ) throws -> Played {
        let device = try #require(home.devices.first { $0.name == name })
        return try Played(
            home, images: [Homes.image(for: device)],
            [
                .join(devices: others + [name]), .wait(.minutes(10)),
                .power(device: name, on: false),
                .deliver(image: name, to: [name]), .remove(devices: [name]), .wait(.minutes(1)),
                .power(device: name, on: true), .wait(.hours(2)),
                .expect(.incomplete, devices: [name], reason: "notInDeviceLog"),
            ]
                + others.map { .readVersions(devices: [$0], version: 0x0100_0000) },
            named: "missed-leave-\(name)")
    }

    @Test("one that missed the Leave gets nothing from the hub, is told again, and leaves")
    func missedLeave() throws {
        for type in [.esme, .gsme] as [DeviceType] {
            let home = Homes.home([Homes.device(type)])
            let name = type.rawValue
            let played = try Self.missedLeave(home, name)
            #expect(played.result.failure == nil)
            #expect(try played.complaints().isEmpty)
            #expect(played.events("networkResumed", at: name).count == 1)
            #expect(
                played.events("dropped", at: "CH").contains { $0.contains("\"notInDeviceLog\"") })
            #expect(played.events("imageOffered", at: "CH").isEmpty)
            #expect(played.events("otaDownloadStarted", at: name).isEmpty)
            #expect(played.events("left", at: name).count == 1)
            // Twice: when it was struck off, and when it was heard of again.
            #expect(played.events("deviceRemoved", at: "CH").count == 2)
            #expect(
                played.result.summary.devices.first { $0.name == name }?.attempts.last?.reason
                    == "notInDeviceLog")
        }
    }

    @Test("one behind a router is told through that router, which goes on serving itself")
    func missedLeaveBehindRouter() throws {
        let played = try Self.missedLeave(Self.behindRouter(), "PPMID", others: ["HCALCS"])
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("imageOffered", at: "CH").isEmpty)
        #expect(played.events("left", at: "PPMID").count == 1)
        #expect(
            played.events("dropped", at: "CH").contains { $0.contains("\"notInDeviceLog\"") })
        // Remove Device went out when it was struck off, and when it was heard of again.
        #expect(try played.rows(["wpan.seq_no"], "zbee_aps.cmd.id == 0x07").count >= 2)
    }

    /// What befalls the device between being struck off and being put back.
    enum Meanwhile: CaseIterable {
        /// It is off all the time and never knows.
        case off
        /// It leaves at once, and looks in vain for a network that would let it in.
        case gone
        /// It is off, comes back, is told to leave, and does.
        case toldLater
        /// It leaves, and the hub restarts.
        case hubRestarts
        /// It sleeps, and the Leave waits for it.
        case asleep

        func steps(_ name: String) -> [ScenarioStep.Action] {
            let remove = [ScenarioStep.Action.remove(devices: [name])]
            let add = [ScenarioStep.Action.add(devices: [name])]
            let off = [ScenarioStep.Action.power(device: name, on: false)]
            let on = [ScenarioStep.Action.power(device: name, on: true)]
            return switch self {
            case .off: off + remove + [.wait(.hours(1))] + add + on
            case .gone: remove + [.wait(.hours(2))] + add
            case .toldLater: off + remove + on + [.wait(.hours(2))] + add
            case .hubRestarts:
                remove
                    + [.power(device: "CH", on: false), .power(device: "CH", on: true)]
                    + [.wait(.hours(1))] + add
            case .asleep: [.wait(.minutes(10))] + remove + add
            }
        }
    }

    @Test(
        "one that is put back joins again and is updated, whatever it did meanwhile",
        arguments: Meanwhile.allCases)
    func putBack(_ meanwhile: Meanwhile) throws {
        for type in [.esme, .gsme] as [DeviceType] {
            let device = Homes.device(type)
            let name = device.name
            let played = try Played(
                Homes.home([device]), images: [Homes.image(for: device)],
                [.join(devices: [name])] + meanwhile.steps(name) + Stories.update(name)
                    + [.readVersions(devices: [name], version: 0x0200_0000)],
                named: "put-back-\(meanwhile)-\(name)")
            #expect(played.result.failure == nil, "\(name)")
            #expect(try played.complaints().isEmpty, "\(name)")
            #expect(played.events("deviceLogged", at: "CH").count == 2)
            #expect(
                played.events("joined", at: name).count
                    == (meanwhile == .off ? 1 : 2), "\(name)")
            // Counters went on where they were, on both sides.
            #expect(
                !played.events("dropped").contains {
                    $0.contains("apsReplayed") || $0.contains("apsBadMIC")
                }, "\(name)")
        }
    }

    @Test("one behind a router is put back and updated")
    func putBackBehindRouter() throws {
        let home = Self.behindRouter()
        let played = try Played(
            home, images: [Homes.image(for: home.devices[1])],
            [
                .join(devices: ["HCALCS", "PPMID"]), .remove(devices: ["PPMID"]),
                .wait(.hours(1)), .add(devices: ["PPMID"]), .join(devices: ["PPMID"]),
                .deliver(image: "PPMID", to: ["PPMID"]), .await(.updated, devices: ["PPMID"]),
                .join(devices: ["PPMID"]),
                .readVersions(devices: ["PPMID"], version: 0x0200_0000),
            ], named: "put-back-router")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
    }

    @Test("a log without room takes nobody back, and the step says so at once")
    func fullLog() throws {
        let devices = [1, 2].map { Homes.device(.esme, name: "ESME-\($0)", number: $0) }
        let hub = Homes.newHub { $0.deviceLogLimit = 1 }
        let told = try Told(
            Homes.home(devices, hub: hub), images: [],
            [.join(devices: ["ESME-1"]), .add(devices: ["ESME-1"]), .add(devices: ["ESME-2"])],
            named: "add-full-log")
        #expect(
            told.result.failure?.hasSuffix(
                "the hub did not put ESME-2 in its device log: deviceLogFull") == true)
        #expect(told.result.summary.virtualTime < .minutes(2))
        // At the first start, and when it was to be added.
        #expect(told.events("deviceNotLogged").count == 2)
    }

    @Test(
        "a device that is not in the log is told so when it associates, or never gets the key",
        arguments: [true, false])
    func refused(atOnce: Bool) throws {
        let device = Homes.device(.esme)
        let hub = Homes.newHub { $0.refusesAssociation = atOnce }
        let told = try Told(
            Homes.home([device], hub: hub), images: [Homes.image(for: device)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .remove(devices: ["ESME"]), .permitJoining(.minutes(30)), .wait(.minutes(5)),
                .expect(.incomplete, devices: ["ESME"], reason: "notInDeviceLog"),
            ], named: "refused-\(atOnce)")
        #expect(told.result.failure == nil)
        #expect(try told.complaints().isEmpty)
        let hubSays = told.events("associationRefused", of: "CH")
        #expect(!hubSays.isEmpty)
        #expect(hubSays.allSatisfy { $0["reason"] as? String == "notInDeviceLog" })
        var reasons = Set(
            told.events("joinFailed", of: "ESME").compactMap { $0["reason"] as? String })
        // Before the hub has formed its network.
        reasons.remove("noBeacon")
        #expect(reasons == [atOnce ? "notInDeviceLog" : "keyNotReceived"])
        #expect((told.events("associated", of: "ESME").count == 1) == atOnce)
    }
}

@Suite("A network that lets nobody in")
struct ClosedNetworkStories {
    @Test("a device that hears only a closed network says so, and joins once it is open")
    func closed() throws {
        let told = try Told(
            Homes.home([Homes.device(.esme), Homes.device(.ppmid)]), images: [],
            [
                .power(device: "PPMID", on: false), .join(devices: ["ESME"]),
                .permitJoining(.seconds(1)), .wait(.seconds(10)),
                .power(device: "PPMID", on: true), .wait(.minutes(5)),
                .permitJoining(.minutes(5)), .join(devices: ["PPMID"]),
            ], named: "closed")
        #expect(told.result.failure == nil)
        let reasons = told.events("joinFailed", of: "PPMID").compactMap {
            $0["reason"] as? String
        }
        #expect(reasons.count > 2 && Set(reasons.dropFirst()) == ["joiningClosed"])
    }
}

@Suite("What a sleeper asks and is asked at its wakes")
struct WakeStories {
    @Test("one that asks as often as it wakes asks at every wake, also where frames get lost")
    func everyWake() throws {
        let told = try Told(
            Homes.home([Homes.device(.gsme)]), images: [],
            [
                .join(devices: ["GSME"]),
                .link(a: "CH", b: "GSME", Link(rssi: -60, lossPerMillion: 540_000)),
                .wait(.hours(48)),
            ], named: "every-wake", within: .hours(49))
        #expect(told.result.failure == nil)
        let times: [Double] = told.events("otaQueried", of: "GSME").compactMap {
            $0["time"] as? Double
        }
        #expect(!told.events("apsRetry").isEmpty)
        #expect(times.count >= 94)
        for (earlier, later) in zip(times, times.dropFirst()) {
            #expect(later - earlier < 31 * 60, "at \(later)")
        }
    }

    @Test("the hub reads a sleeper's version as it polls, long before it has anything to say")
    func readAtPoll() throws {
        let gsme = Homes.device(.gsme) { $0.ota.queryInterval = .hours(24) }
        let told = try Told(
            Homes.home([gsme]), images: [],
            [
                .join(devices: ["GSME"]), .wait(.minutes(95)),
                .readVersions(devices: ["GSME"], version: 0x0100_0000),
            ], named: "read-at-poll", within: .hours(2))
        #expect(told.result.failure == nil)
        #expect(try told.complaints().isEmpty)
        #expect(told.events("otaQueried").count == 1)
        // It wakes every half hour.
        #expect(told.result.summary.virtualTime < .minutes(126))
        #expect(told.events("indirectExpired").isEmpty)
    }
}
