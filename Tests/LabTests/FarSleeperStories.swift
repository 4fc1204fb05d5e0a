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
        change: (inout DeviceProfile) -> Void
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

    @Test("a meter that is forgotten in every sleep gets its image when its router comes back")
    func forgottenInEverySleep() throws {
        let (home, gsme) = row { $0.stack.endDeviceTimeout = 0 }
        let played = try Played(
            home, images: [Homes.image(for: gsme, size: 30_000)],
            begin(gsme) + [
                .remove(devices: ["HCALCS-2"]), .wait(.hours(5)), .add(devices: ["HCALCS-2"]),
                .await(.verified, devices: ["GSME"]), .activate(devices: ["GSME"]),
                .await(.updated, devices: ["GSME"]),
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
    }
}
