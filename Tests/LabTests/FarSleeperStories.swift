import Air
import Devices
import Foundation
import Lab
import TestSupport
import Testing
import Wire

@Suite("Sleepers behind two routers")
struct FarSleeperStories {
    /// CH - HCALCS-1 - HCALCS-2 - GSME, each in reach of its neighbours in this row alone.
    private func row(
        change: (inout DeviceProfile) -> Void = { _ in }
    ) -> (home: Home, gsme: HomeDevice) {
        let routers = (1...2).map { number in
            Homes.device(.hcalcs, name: "HCALCS-\(number)", number: UInt64(number)) {
                $0.isRouter = true
            }
        }
        let gsme = Homes.device(.gsme) {
            $0.sleep?.blocksPerWake = 64
            change(&$0)
        }
        var home = Homes.home(routers + [gsme], hub: Homes.hub(firmware: 0x0200_0000))
        home.links = [("CH", "HCALCS-2"), ("CH", "GSME"), ("HCALCS-1", "GSME")].map {
            HomeLink(from: $0.0, to: $0.1, link: MeshStories.deaf)
        }
        return (home, gsme)
    }

    private func begin(_ gsme: HomeDevice) -> [ScenarioStep.Action] {
        [
            .join(devices: ["HCALCS-1", "HCALCS-2", "GSME"]),
            .deliver(image: "GSME", to: ["GSME"]),
            .await(.downloading, devices: ["GSME"], offset: 10 * 1024),
        ]
    }

    private func time(_ event: String?) throws -> Double {
        let event = try #require(event)
        let value = event.split(separator: ",")[0].split(separator: ":")[1]
        return try #require(Double(value))
    }

    @Test("a meter whose router has got a new network key without it finds out, and rejoins")
    func parentHasNewKey() throws {
        let (home, gsme) = row()
        let played = try Played(
            home, images: [Homes.image(for: gsme, size: 30_000)],
            begin(gsme) + [
                .power(device: "HCALCS-2", on: false, duration: .hours(5)),
                .updateNetworkKey,
                .await(.verified, devices: ["GSME"]), .activate(devices: ["GSME"]),
                .await(.updated, devices: ["GSME"]), .join(devices: ["GSME"]),
                .readVersions(devices: ["GSME"], version: 0x0200_0000),
            ], named: "far-sleeper-new-key", within: .hours(50))
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        // Its router came back to the new key alone: what the meter sends, that does not open.
        let router = try #require(
            played.events("networkKeyReceived", at: "HCALCS-2").first {
                $0.contains("\"sequence\":1")
            })
        #expect(played.events("networkKeySwitched", at: "HCALCS-2").isEmpty)
        // The meter asks it thrice whether it understands, in the wake in which nobody answers,
        // and then turns to the trust centre.
        let meter = try #require(
            played.events("networkKeyReceived", at: "GSME").first {
                $0.contains("\"sequence\":1")
            })
        let since = try time(router)
        let until = try time(meter)
        #expect(until > since && until - since < 3 * 3600)
        let unsecured = try played.rows(
            ["frame.time_relative"],
            "zbee_nwk.cmd.id == 0x06 && zbee_nwk.security == 0 && wpan.src16 != 0x0000"
                + " && frame.time_relative > \(since)")
        #expect(!unsecured.isEmpty)
        let requests = try played.rows(
            ["frame.time_relative"],
            "zbee_nwk.cmd.id == 0x0b && frame.time_relative > \(since)"
                + " && frame.time_relative < \(until)")
        #expect(requests.count >= 3)
    }

    @Test("a meter that is forgotten in every sleep gets its image when its router comes back")
    func forgottenInEverySleep() throws {
        let (home, gsme) = row { $0.stack.endDeviceTimeout = 0 }
        let played = try Played(
            home, images: [Homes.image(for: gsme, size: 30_000)],
            begin(gsme) + [
                .remove(devices: ["HCALCS-2"]), .wait(.hours(5)), .add(devices: ["HCALCS-2"]),
                .await(.verified, devices: ["GSME"]), .activate(devices: ["GSME"]),
                .await(.updated, devices: ["GSME"]), .join(devices: ["GSME"]),
                .readVersions(devices: ["GSME"], version: 0x0200_0000),
            ], named: "far-sleeper-forgotten", within: .hours(50))
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("childAged", at: "HCALCS-2").count > 3)
        // The router sends nothing of it on before it has come back.
        let dropped = played.events("dropped", at: "HCALCS-2").filter {
            $0.contains("\"reason\":\"nwkUnexpected\"")
        }
        #expect(!dropped.isEmpty)
        // So nothing piles up at the hub.
        let lost = played.events("dropped", at: "CH")
        #expect(!lost.contains { $0.contains("\"reason\":\"queueFull\"") })
        #expect(lost.filter { $0.contains("\"reason\":\"nwkNoRoute\"") }.count < 20)
    }
}
