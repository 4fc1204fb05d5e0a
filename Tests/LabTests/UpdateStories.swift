import Evidence
import Lab
import TestSupport
import Testing
import Wire

@Suite("Updates")
struct UpdateStories {
    @Test("an ESME joins, downloads, verifies and activates its image")
    func esme() throws {
        let esme = Homes.device(.esme)
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme)],
            [
                .join(devices: ["ESME"]),
                .deliver(image: "ESME", to: ["ESME"]),
                .await(.verified, devices: ["ESME"]),
                .activate(devices: ["ESME"]),
                .await(.updated, devices: ["ESME"]),
                .join(devices: ["ESME"]),
                .readVersions(devices: ["ESME"], version: 0x0200_0000),
            ], named: "esme")
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.map(\.outcome) == [.updated])
    }
}
