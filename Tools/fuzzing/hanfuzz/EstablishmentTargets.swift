import Crypto
import Wire
import Zigbee

extension FuzzTarget {
    /// Certificates of key establishment, and its commands to a hub's and a device's machine.
    static func establishment() -> [FuzzTarget] {
        [
            FuzzTarget("implicit-certificate", maximumLength: 80, briefRuns: 3_000) {
                let parties = try EstablishmentParties()
                return Prepared(
                    seeds: [parties.one.certificate.bytes, parties.two.certificate.bytes]
                ) { bytes in
                    guard let certificate = try? ImplicitCertificate(bytes) else { return }
                    guard certificate.bytes == bytes,
                        let again = try? ImplicitCertificate(
                            form: certificate.form, subject: certificate.subject,
                            issuer: certificate.issuer, point: certificate.point),
                        again == certificate
                    else { found("a certificate is written differently from how it was read") }
                    do {
                        _ = try certificate.publicKey(from: parties.two.authority)
                    } catch {
                        if "\(error)".utf8.count > 1000 { found("a message without end") }
                    }
                }
            },
            FuzzTarget("key-establishment", maximumLength: 400, briefRuns: 2_000) {
                let parties = try EstablishmentParties()
                return Prepared(seeds: parties.seeds) { bytes in parties.play(bytes) }
            },
        ]
    }
}

/// A hub and a device of one authority that are told any commands.
private struct EstablishmentParties {
    static let hub = EUI64(1)
    static let device = EUI64(2)

    let one: CBKECredentials
    let two: CBKECredentials
    private let hubs: CBKECredentials

    init() throws {
        var stream = SeededStream(Seed(1).named("fuzz.establishment"))
        let first = CBKEIssuer(issuer: EUI64(0xCA), suite: .one, from: &stream)
        let second = CBKEIssuer(issuer: EUI64(0xCA), suite: .two, from: &stream)
        let form = ImplicitCertificate.Form.two(
            serial: 1, validFrom: 0, lifetime: ImplicitCertificate.endless,
            usage: ImplicitCertificate.usualUsage)
        one = try first.credentials(
            .one(attributes: [1, 9, 0, 6, 0, 0, 0, 0, 0, 0]), for: Self.device, from: &stream)
        two = try second.credentials(form, for: Self.device, from: &stream)
        hubs = try second.credentials(form, for: Self.hub, from: &stream)
    }

    private var server: KeyEstablishmentServer {
        KeyEstablishmentServer(
            settings: KeyEstablishmentSettings(), credentials: [hubs], eui64: Self.hub,
            seed: Seed(2))
    }

    private var client: KeyEstablishmentClient {
        var client = KeyEstablishmentClient(
            settings: KeyEstablishmentSettings(), credentials: two, eui64: Self.device,
            seed: Seed(3))
        client.begin(with: Self.hub, at: .zero)
        _ = client.step(at: .zero + .seconds(1))
        _ = client.found(1, at: .zero + .seconds(1))
        return client
    }

    /// A whole establishment, as the hub hears it and as the device does.
    var seeds: [[UInt8]] {
        var (client, server, now) = (client, server, Instant.zero + .seconds(1))
        var heard: (hub: [UInt8], device: [UInt8]) = ([0], [1])
        var next: KeyEstablishmentCommand? = .initiate(
            InitiateKeyEstablishment(
                suites: client.suites, ephemeralDataTime: 1, confirmKeyTime: 1,
                certificate: two.certificate.bytes))
        while let command = next {
            heard.hub += Self.written(command)
            guard let reply = server.received(command, from: Self.device, at: now).reply else {
                break
            }
            heard.device += Self.written(reply)
            now = now + .seconds(1)
            switch client.received(reply, from: Self.hub, at: now) {
            case .send(let command): next = command
            default: next = nil
            }
        }
        return [heard.hub, heard.device]
    }

    /// Command number, length, payload.
    private static func written(_ command: KeyEstablishmentCommand) -> [UInt8] {
        var frame = FrameBuffer()
        command.encode(into: &frame)
        return [command.identifier, UInt8(frame.count)] + frame.bytes
    }

    /// One byte says who hears it; then commands, each with a length, a second apart.
    func play(_ bytes: [UInt8]) {
        guard let mode = bytes.first else { return }
        var (client, server, now) = (client, server, Instant.zero + .seconds(1))
        var position = 1
        while position + 2 <= bytes.count {
            let (identifier, length) = (bytes[position], Int(bytes[position + 1]))
            let end = min(position + 2 + length, bytes.count)
            let payload = Array(bytes[(position + 2)..<end])
            position = end
            now = now + .seconds(1)
            var reader = ByteReader(payload.span)
            do {
                guard let command = try KeyEstablishmentCommand(identifier, parsing: &reader)
                else { continue }
                var frame = FrameBuffer()
                command.encode(into: &frame)
                if !frame.isOverflowed, frame.bytes != payload {
                    found("a command is written differently from how it was read")
                }
                if mode & 1 == 0 {
                    let answer = server.received(command, from: Self.device, at: now)
                    if answer.reply == nil, answer.linkKey != nil { found("a key without a word") }
                } else {
                    _ = client.received(command, from: Self.hub, at: now)
                }
            } catch {
                if error.offset > payload.count { found("an error at offset \(error.offset)") }
                if mode & 1 == 0 {
                    _ = server.receivedMalformed(from: Self.device)
                } else {
                    _ = client.receivedMalformed(at: now)
                }
            }
            if server.sessionCount > 1 { found("sessions with others than the device") }
        }
    }
}
