import Crypto
import DCC
import GBCS
import HeadEnd
import Lab
import Testing
import TestSupport
import Tracking
import Wire

@Suite("Updates through the DCC")
struct UpdateStories {
    @Test("a PPMID is refused behind an old hub, and updated once the hub has been")
    func ppmid() async throws {
        let folder = try TemporaryFolder()
        let station = try Station(try Station.plan(), at: folder.path("store"))
        let ppmid = station.id("PPMID")
        let hub = station.home.hub.chf
        let image = try station.image("ppmid-2")
        try await station.rest()
        #expect(try await station.device(hub).gbcsVersion == "3.2")

        let refused = try await station.update(image, [ppmid], ppmid: true)
        #expect(refused.code.rawValue == "W110401")
        #expect(refused.warning?.gbcsVersion == [ppmid])
        #expect(try station.notices().isEmpty)

        _ = try await station.headEnd.perform(.updateHub(home: "standard", image: "ch-2"))
        try await station.rest()
        #expect(try await station.device(hub).firmware == 0x0200_0100)
        #expect(try await station.device(hub).gbcsVersion == "4.0")

        let accepted = try await station.update(image, [ppmid], ppmid: true)
        #expect(!accepted.code.isError && accepted.warning == nil)
        let status = try await station.rest()
        let member = try #require(status.homes[0].members.first { $0.name == "PPMID" })
        #expect(member.firmware == image.version)
        #expect(try await station.device(ppmid).firmware == image.version)
        let told = try station.notices()
        let codes = told.compactMap { $0.summary.split(separator: ":").first.map(String.init) }
        // The hub's activation; then delivered, downloaded, activated.
        #expect(codes == ["N64", "N60", "N62", "N63"])
        #expect(told.map(\.number) == [1, 2, 3, 4])

        for notice in told { try await station.acknowledge(notice) }
        let id = try #require(accepted.requestID)
        let hops = try station.hops(of: id, ppmid).map(\.status)
        #expect(hops.contains(.deliveredToHub) && hops.contains(.offered))
        #expect(hops.contains(.transferred) && hops.contains(.activated))
        #expect(hops.contains(.reported))
        try station.close()
    }

    @Test(
        "with the rule not enforced the hub's own refusal is told, or nothing comes of it",
        arguments: [true, false])
    func notEnforced(silent: Bool) async throws {
        let folder = try TemporaryFolder()
        let plan = try Station.plan {
            $0.settings.gbcsRule.isEnforced = false
            for index in $0.homes[0].hub.profile.firmware.indices {
                $0.homes[0].hub.profile.firmware[index].value.discardsSilently = silent
            }
        }
        let station = try Station(plan, at: folder.path("store"))
        let answer = try await station.update(
            try station.image("ppmid-2"), [station.id("PPMID")], ppmid: true)
        #expect(!answer.code.isError)
        try await station.rest()
        let told = try station.notices()
        #expect(told.count == 1 && told[0].summary.hasPrefix("N61"))
        let hops = try station.hops(
            of: try #require(answer.requestID), station.id("PPMID"))
        let last = try #require(hops.last { $0.status == .deliveryFailed })
        #expect(last.detail.contains("hubLacksSupport") == !silent)
        #expect(
            hops.count { $0.status == .delivering && $0.detail.hasPrefix("attempt") }
                == (silent ? 3 : 1))
        try station.close()
    }

    @Test("an ESME gets an image by 11.1 and runs it once its supplier has signed an 11.3")
    func esme() async throws {
        let folder = try TemporaryFolder()
        let station = try Station(try Station.plan(), at: folder.path("store"))
        let esme = station.id("ESME")
        let image = try station.image("esme-2")
        let answer = try await station.update(
            image, [esme, EUI64(0x0247_4200_0000_0105)], ppmid: false)
        // The IHD is in the inventory, and never updatable.
        #expect(answer.warning?.invalid == [EUI64(0x0247_4200_0000_0105)])
        try await station.rest()
        let codes = try station.notices().map { String($0.summary.prefix(4)) }
        #expect(codes == ["N60:", "8F72"])

        let id = try await station.activate(esme, image)
        let status = try await station.rest()
        #expect(status.homes[0].members.first { $0.name == "ESME" }?.firmware == image.version)
        #expect(try await station.device(esme).firmware == image.version)
        let response = try #require(try station.notices().last)
        #expect(response.request == id && response.summary == "I0: response to 11.3")
        try station.close()
    }
}
