import AirBus
import CZeroMQ
import Radio
import Testing
import Wire

@Suite("Keys of a live air")
struct KeyTests {
    private static func pair(of air: String) throws -> AirKeys {
        let (publicKey, secretKey) = try #require(AirKeys.makePair())
        return AirKeys(server: air, publicKey: publicKey, secretKey: secretKey)
    }

    @Test("a peer without the right key gets nothing, while one that has it joins")
    func gate() throws {
        let (publicKey, secretKey) = try #require(AirKeys.makePair())
        let known = try Self.pair(of: publicKey)
        var settings = AirServiceSettings()
        settings.keys = AirKeys(server: publicKey, publicKey: publicKey, secretKey: secretKey)
        settings.admitted = [known.publicKey]
        let air = try LiveAir(settings)
        // In the clear; with a pair that nobody knows; and with another air's public key.
        let other = try Self.pair(of: try Self.pair(of: publicKey).publicKey)
        let wrong = [
            nil, try Self.pair(of: publicKey),
            AirKeys(
                server: other.server, publicKey: known.publicKey, secretKey: known.secretKey),
        ]
        let places = [
            (air.endpoints.node, ZMQ_DEALER), (air.endpoints.control, ZMQ_DEALER),
            (air.endpoints.sniffer, ZMQ_SUB),
        ]
        let peers = wrong.flatMap { keys in
            places.map { RawPeer($0.0, kind: $0.1, keys: keys) }
        }
        for peer in peers {
            peer.send { $0.hello(Hello(processID: 1, eui64: nil, name: "X")) }
            peer.send(Catalogue.build { $0.request(ControlRequest(number: 1, .status)) })
        }
        let sniffer = RawPeer(air.endpoints.sniffer, kind: ZMQ_SUB, keys: known)
        let member = try FeedMessage(try #require(sniffer.receive()))
        guard case .member = member else {
            Issue.record("\(member) before the members")
            return
        }
        let client = RawPeer(air.endpoints.control, keys: known)
        client.send(Catalogue.build { $0.request(ControlRequest(number: 1, .status)) })
        guard case .status(let status, _) = try ControlAnswer(try #require(client.receive()))
        else {
            Issue.record("no status")
            return
        }
        #expect(status.members.allSatisfy { $0.state == .absent })
        air.join(keys: known)
        #expect(air.finish() == LiveAir.undisturbed)
        for peer in peers {
            peer.set(ZMQ_RCVTIMEO, 0)
            #expect(peer.receive() == nil)
        }
    }

    @Test("a key is 32 bytes in Z85, and a secret one has its public one")
    func texts() throws {
        let (publicKey, secretKey) = try #require(AirKeys.makePair())
        #expect(publicKey.utf8.count == 40 && AirKeys.bytes(of: publicKey)?.count == 32)
        #expect(AirKeys.publicKey(of: secretKey) == publicKey)
        // RFC 32's own alphabet has neither a quote nor a comma.
        #expect(AirKeys.bytes(of: String(repeating: "\"", count: 40)) == nil)
        #expect(AirKeys.bytes(of: String(publicKey.dropLast())) == nil)
        #expect(AirKeys.publicKey(of: "short") == nil)
    }
}
