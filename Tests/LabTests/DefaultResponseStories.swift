import Devices
import Lab
import TestSupport
import Testing
import Wire
import Zigbee

@Suite("Default responses of the OTA cluster")
struct DefaultResponseStories {
    /// The commands that default responses of a sender answer, with their statuses.
    static func answers(_ told: Told, from source: String) throws -> [(command: Int, status: Int)] {
        func number(_ text: String?) -> Int {
            text.flatMap { Int($0.dropFirst(2), radix: 16) } ?? -1
        }
        return try Tshark.rows(
            capture: told.folder.path("trace.pcapng"), keys: told.folder.path("zigbee_pc_keys"),
            fields: ["zbee_zcl.cmd.id.rsp", "zbee_zcl.attr.status"],
            filter: "zbee_aps.cluster == 0x0019 && zbee_zcl.cmd.id == 0x0b && "
                + "wpan.src16 \(source)"
        ).map { (number($0["zbee_zcl.cmd.id.rsp"]), number($0["zbee_zcl.attr.status"])) }
    }

    @Test("where the server wants it, each of its commands is answered that leads to nothing else")
    func wanted() throws {
        for wants in [true, false] {
            let esme = Homes.device(.esme)
            let other = Homes.device(.hcalcs)
            let hub = Homes.newHub { $0.ota.wantsDefaultResponses = wants }
            let told = try Told(
                Homes.home([esme, other], hub: hub),
                images: [Homes.image(for: esme), Homes.image(for: other)],
                [
                    .join(devices: ["ESME", "HCALCS"]), .wait(.seconds(10)),
                    // Of another type: a notification that makes nobody ask.
                    .deliver(image: "HCALCS", to: ["ESME"]), .wait(.seconds(10)),
                    .deliver(image: "ESME", to: ["ESME"]), .await(.verified, devices: ["ESME"]),
                    .wait(.seconds(5)),
                ], named: "default-responses")
            #expect(told.result.failure == nil)
            #expect(told.events("imageNotified").count == 2)
            let answers = try Self.answers(told, from: "!= 0x0000")
            guard wants else {
                #expect(answers.isEmpty)
                continue
            }
            #expect(answers.allSatisfy { $0.status == 0 })
            #expect(answers.count { $0.command == 0 } == 1)
            for command in [2, 5, 7] {
                let sent = try told.frames(command, fromServer: true).count
                #expect(sent > 0)
                #expect(answers.count { $0.command == command } == sent, "\(command)")
            }
            #expect(try told.complaints().isEmpty)
        }
    }

    static func joined(_ change: (inout DeviceProfile) -> Void = { _ in }) -> LiveHome {
        let esme = Homes.device(.esme, change: change)
        let live = LiveHome(
            Homes.home([esme]), images: [Homes.image(for: esme, size: 30_000)],
            [.join(devices: ["ESME"]), .wait(.seconds(10)), .deliver(image: "ESME", to: ["ESME"])])
        live.run(untilEvent: .otaServerFound, of: 1)
        live.run(for: .seconds(3))
        return live
    }

    static func header(
        _ command: UInt8, fromServer: Bool, manufacturer: UInt16? = nil
    ) -> ZCLHeader {
        ZCLHeader(
            isClusterSpecific: true, fromServer: fromServer, disableDefaultResponse: true,
            sequence: 77, command: command, manufacturer: manufacturer)
    }

    @Test("a command to the wrong side of the cluster gets an error, and the error gets nothing")
    func wrongDirection() {
        let live = Self.joined()
        func wrong(_ node: UInt16) -> Int {
            live.events(.dropped).count {
                $0.node == node && $0.values[0] == UInt64(DropReason.zclWrongDirection.rawValue)
            }
        }
        live.send(Self.header(1, fromServer: false), from: 0, to: 1)
        live.run(for: .seconds(1))
        #expect(wrong(1) == 1)
        let refused = live.events(.commandRefused)
        #expect(refused.map { $0.values[1] } == [1])
        #expect(refused.map { $0.values[2] } == [0x81])
        live.run(for: .seconds(60))
        // The hub's error comes back to a client that is none of the hub's kind.
        live.send(Self.header(5, fromServer: true), from: 1, to: 0)
        live.run(for: .seconds(1))
        #expect(wrong(0) == 1)
        #expect(wrong(1) == 2)
    }

    @Test("a block of another image is answered INVALID_IMAGE, or not at all, and changes nothing")
    func wrongImage() {
        for refuses in [true, false] {
            let live = Self.joined { $0.ota.refusesWrongImage = refuses }
            live.run(untilEvent: .otaDownloadStarted, of: 1)
            var payload = FrameBuffer()
            ImageBlockResponse.block(
                ImageIdentity(manufacturer: 1, imageType: 2, version: 3), offset: 0, count: 1
            ).encode(into: &payload)
            payload.append(0 as UInt8)
            for _ in 0..<10 {
                live.send(Self.header(5, fromServer: true), payload.bytes, from: 0, to: 1)
                live.run(for: .milliseconds(900))
            }
            let refusals = live.events(.commandRefused).filter { $0.values[1] == 5 }
            #expect(refusals.isEmpty == !refuses)
            #expect(refusals.allSatisfy { $0.values[2] == 0x96 })
            live.run(untilEvent: .otaVerified, of: 1)
            #expect(live.events(.otaDownloadStarted).count == 1)
        }
    }

    @Test("a device that has no such cluster is asked once for its version, and the step fails")
    func noVersion() throws {
        let old = Homes.device(.ppmid) {
            $0.firmware = [.init(0...UInt32.max, .init(hasOTAClient: false))]
        }
        let told = try Told(
            Homes.home([old]), images: [],
            [.join(devices: ["PPMID"]), .readVersions(devices: ["PPMID"], version: nil)],
            named: "no-version")
        #expect(
            told.result.failure?.hasSuffix("the version is not to be had of PPMID") == true)
        #expect(told.result.summary.virtualTime < .minutes(3))
        #expect(
            told.events("versionNotRead").map { $0["status"] as? String }
                == ["UNSUPPORTED_CLUSTER"])
    }

    @Test("a maker's command of a stranger is dropped, not answered")
    func stranger() {
        let live = Self.joined()
        live.give(.order(.removeDevice(Homes.device(.esme).eui64)), to: 0)
        live.send(
            Self.header(1, fromServer: false, manufacturer: 0x1234), from: 1, to: 0, options: [])
        live.run(for: .milliseconds(100))
        let drops = live.events(.dropped).filter {
            $0.node == 0 && $0.values[0] == UInt64(DropReason.notInDeviceLog.rawValue)
        }
        #expect(drops.count == 1)
    }
}
