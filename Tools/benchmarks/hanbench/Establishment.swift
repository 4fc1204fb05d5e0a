import BenchmarkSupport
import Crypto
import Wire
import Zigbee

/// Certificate-Based Key Establishment between a device and a hub, machine against machine, each
/// command written as a ZCL frame and read again; and its bare curve operations.
final class Establishment {
    private static let (hub, device) = (EUI64(0x0247_4200_0000_0001), EUI64(0x0247_4200_0000_0002))

    private let devices: CBKECredentials
    private let hubs: CBKECredentials
    private let bare: OpaquePointer
    private let secret: [UInt8]
    private var establishments: UInt64 = 0

    init(_ suite: CBKESuite) throws {
        var stream = SeededStream(Seed(1).named("benchmark establishment"))
        let issuer = CBKEIssuer(issuer: EUI64(0xCA), suite: suite, from: &stream)
        let form: ImplicitCertificate.Form =
            suite == .one
            ? .one(attributes: ImplicitCertificate.usualAttributes)
            : .two(
                serial: 1, validFrom: 0, lifetime: ImplicitCertificate.endless,
                usage: ImplicitCertificate.usualUsage)
        let devices = try issuer.credentials(form, for: Self.device, from: &stream)
        let hubs = try issuer.credentials(form, for: Self.hub, from: &stream)
        self.devices = devices
        self.hubs = hubs

        // Ephemeral keys of which the bytes are known too, which libcrypto alone is given.
        func ephemeral() throws -> (scalar: [UInt8], key: CBKEKeyPair) {
            var scalar = stream.bytes(suite.scalarLength)
            scalar[0] = 0
            return (scalar, try CBKEKeyPair(scalar: scalar, suite: suite))
        }
        let (one, other) = (try ephemeral(), try ephemeral())
        secret = try CBKEAgreement(
            own: devices, ephemeral: one.key, partner: hubs.publicKey,
            partnerEphemeral: other.key.publicKey
        ).secret
        let prepared = Self.party(devices, one.scalar, partner: hubs, other.key) { first in
            Self.party(hubs, other.scalar, partner: devices, one.key) { second in
                cbke_prepare(
                    Int32(suite.rawValue), issuer.authority.publicKey.bytes, [first, second])
            }
        }
        guard let prepared else {
            throw BenchmarkError("libcrypto does not take the keys of the benchmark")
        }
        bare = prepared
    }

    deinit { cbke_free(bare) }

    private static func party<T>(
        _ own: CBKECredentials, _ ephemeral: [UInt8], partner: CBKECredentials,
        _ partnerEphemeral: CBKEKeyPair, _ body: (cbke_party) -> T
    ) -> T {
        own.privateKey.withUnsafeBufferPointer { key in
            ephemeral.withUnsafeBufferPointer { ephemeral in
                partner.certificate.point.bytes.withUnsafeBufferPointer { point in
                    AESMMO.hash(partner.certificate.bytes).bytes.withUnsafeBufferPointer { hash in
                        partnerEphemeral.publicKey.bytes.withUnsafeBufferPointer { other in
                            body(
                                cbke_party(
                                    own: key.baseAddress, ephemeral: ephemeral.baseAddress,
                                    certificate_point: point.baseAddress,
                                    certificate_hash: hash.baseAddress,
                                    partner_ephemeral: other.baseAddress))
                        }
                    }
                }
            }
        }
    }

    /// Seconds of processor time for so many keys.
    func run(_ count: Int) throws -> Double {
        let began = processorTime()
        for _ in 0..<count {
            // Another moment each time, and with it other ephemeral keys.
            establishments += 1
            try establish(at: .zero + .seconds(Int64(establishments) * 100))
        }
        return processorTime() - began
    }

    private func establish(at start: Instant) throws {
        let settings = KeyEstablishmentSettings()
        var client = KeyEstablishmentClient(
            settings: settings, credentials: devices, eui64: Self.device, seed: Seed(2))
        var server = KeyEstablishmentServer(
            settings: settings, credentials: [hubs], eui64: Self.hub, seed: Seed(3))
        client.begin(with: Self.hub, at: start)
        let now = start + settings.afterJoining
        _ = client.step(at: now)
        var step = client.found(1, at: now)
        var hubsKey: Key128?
        while case .send(let command) = step {
            let answer = server.received(
                try carried(command, fromServer: false), from: Self.device, at: now)
            hubsKey = hubsKey ?? answer.linkKey
            guard let reply = answer.reply else {
                throw BenchmarkError("the hub does not answer")
            }
            step = client.received(
                try carried(reply, fromServer: true), from: Self.hub, at: now)
        }
        guard case .established(let key) = step, key == hubsKey else {
            throw BenchmarkError("hub and device have established no key")
        }
    }

    /// A command as it arrives.
    private func carried(
        _ command: KeyEstablishmentCommand, fromServer: Bool
    ) throws -> KeyEstablishmentCommand {
        let frame = command.frame(fromServer: fromServer, sequence: 1)
        var reader = ByteReader(frame.span)
        let header = try ZCLHeader(parsing: &reader)
        guard let command = try KeyEstablishmentCommand(header.command, parsing: &reader) else {
            throw BenchmarkError("a command is not read as it was written")
        }
        return command
    }

    /// Seconds of processor time for the curve operations of so many.
    func runBare(_ count: Int) throws -> Double {
        var secrets = [UInt8](repeating: 0, count: 72)
        let began = processorTime()
        for _ in 0..<count {
            let isDone = cbke_do(bare, &secrets)
            guard isDone == 1 else { throw BenchmarkError("libcrypto cannot do the bare work") }
        }
        let seconds = processorTime() - began
        guard Array(secrets[..<secret.count]) == secret,
            Array(secrets[36..<(36 + secret.count)]) == secret
        else { throw BenchmarkError("the two agree on different secrets") }
        return seconds
    }
}
