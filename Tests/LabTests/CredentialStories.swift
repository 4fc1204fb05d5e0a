import Crypto
import Devices
import Evidence
import Lab
import Testing
import Wire
import Zigbee

@Suite("Homes whose members have been given credentials")
struct CredentialStories {
    static let authority = TestAuthority(seed: Seed(7))

    private static func live(
        _ given: [EUI64], of authority: TestAuthority = authority, suites: [CBKESuite] = [.two],
        in home: Home
    ) throws -> LiveHome {
        var home = home
        try home.use(
            Dictionary(
                uniqueKeysWithValues: given.map { id in
                    var own = authority.credentials(of: id)
                    own.establishment = own.establishment.filter { suites.contains($0.suite) }
                    return (id, own)
                }), from: "keys")
        return LiveHome(home, images: [], [.join(devices: home.devices.map(\.name))])
    }

    private static func home() -> Home {
        Homes.home([Homes.device(.esme), Homes.device(.ppmid)], hub: Homes.hub())
    }

    @Test("hub and ESME establish a key under an authority of others, the PPMID under the run's")
    func two() throws {
        let home = Self.home()
        let live = try Self.live([home.hub.eui64, home.devices[0].eui64], in: home)
        live.run(untilEvent: .linkKeyEstablished, of: 1)
        live.run(untilEvent: .linkKeyEstablished, of: 2)
        #expect(live.events(.linkKeyEstablished).filter { $0.node == 0 }.count == 2)
        #expect(live.events(.linkKeyRefused).isEmpty)
    }

    @Test("a device may have only the suite that its home does not use")
    func otherSuite() throws {
        let home = Self.home()
        let live = try Self.live(
            [home.hub.eui64, home.devices[0].eui64], suites: [.one], in: home)
        live.run(untilEvent: .linkKeyEstablished, of: 1)
        live.run(untilEvent: .linkKeyEstablished, of: 2)
        #expect(live.events(.linkKeyRefused).isEmpty)
    }

    @Test("a hub without the authority refuses the device, and the other way round")
    func strangers() throws {
        let home = Self.home()
        let live = try Self.live([home.devices[0].eui64], in: home)
        live.run(untilEvent: .linkKeyRefused, of: 1)
        live.run(untilEvent: .linkKeyEstablished, of: 2)
        let refusal = try #require(live.events(.linkKeyRefused).first { $0.node == 1 })
        #expect(refusal.values[1] == UInt64(RefusalReason.unknownIssuer.rawValue))
        // The hub has said so.
        #expect(refusal.values[2] == 1)
        #expect(!live.events(.linkKeyEstablished).contains { $0.node == 1 })

        // Only the hub has it: it keeps those of the run for everybody else.
        let other = try Self.live([home.hub.eui64], in: home)
        other.run(untilEvent: .linkKeyEstablished, of: 1)
        other.run(untilEvent: .linkKeyEstablished, of: 2)
        #expect(other.events(.linkKeyRefused).isEmpty)
    }

    @Test("two authorities that call themselves the same do not come to a key")
    func impostor() throws {
        let home = Self.home()
        var home2 = home
        let issuer = Self.authority.establishment[1].authority.issuer
        var stream = SeededStream(Seed(9))
        let impostor = CBKEIssuer(issuer: issuer, suite: .two, from: &stream)
        var hub = MemberCredentials()
        hub.establishment = [
            try impostor.credentials(
                .two(
                    serial: 1, validFrom: 0, lifetime: ImplicitCertificate.endless,
                    usage: ImplicitCertificate.usualUsage), for: home.hub.eui64, from: &stream)
        ]
        try home2.use(
            [
                home.hub.eui64: hub,
                home.devices[0].eui64: Self.authority.credentials(of: home.devices[0].eui64),
            ], from: "keys")
        let live = LiveHome(home2, images: [], [.join(devices: ["ESME", "PPMID"])])
        live.run(untilEvent: .linkKeyRefused, of: 1)
        #expect(!live.events(.linkKeyEstablished).contains { $0.node == 1 })
    }
}
