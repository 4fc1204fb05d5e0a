import BenchmarkReport
import BenchmarkSupport
import Crypto
import GBCS
import Wire

/// The rows of `Tools/bench gbcs`.
struct Messages {
    let rounds: Int

    /// Checks of one round.
    static let count = 4000
    /// Key establishments of one round.
    static let establishments = 200

    func measure() throws -> [Row] {
        let check = try CommandCheck()
        let establishments = try CBKESuite.allCases.map { try Establishment($0) }
        var rows = Rounds()
        var keys = establishments.map { _ in Rounds() }
        for round in 1...rounds {
            say("round \(round) of \(rounds)")
            // In short turns, because the machine's speed changes.
            var (ours, bare) = (0.0, 0.0)
            for _ in 0..<20 {
                ours += try check.run(Self.count / 20)
                bare += try check.runBare(Self.count / 20)
            }
            let microseconds = 1e6 / Double(Self.count)
            rows.add(ours * microseconds, against: bare * microseconds)
            for index in establishments.indices {
                (ours, bare) = (0, 0)
                for _ in 0..<20 {
                    ours += try establishments[index].run(Self.establishments / 20)
                    bare += try establishments[index].runBare(Self.establishments / 20)
                }
                let microseconds = 1e6 / Double(Self.establishments)
                keys[index].add(ours * microseconds, against: bare * microseconds)
            }
        }
        return [
            rows.row(
                "cs06", target: 1.3, .lower,
                title: "µs to check a CS06, against its ECDSA and ECDH in libcrypto"),
            keys[1].row(
                "cbke", target: 1.5, .lower,
                title: "µs to establish a key, suite 2, against its curve operations in libcrypto"),
            keys[0].row(
                "cbke-suite1", target: 1.5, .lower, title: "the same in suite 1"),
        ].compactMap(\.self)
    }
}

/// A CS06 as it comes to an ESME, and how long it takes to check it: from its bytes to the
/// verdicts on signature and MAC, with the keys that the meter has.
final class CommandCheck {
    private let bytes: [UInt8]
    private let keys: KeyStore
    private let bare: OpaquePointer
    private let secret: [UInt8]

    init() throws {
        let (supplier, broker, meter) = (EUI64(0x0247_4200_0000_0100), EUI64(2), EUI64(3))
        var stream = SeededStream(Seed(1).named("benchmark parties"))
        let signing = P256.PrivateKey.generate(from: &stream)
        let brokers = P256.PrivateKey.generate(from: &stream)
        // Kept as bytes too, which libcrypto alone is given.
        let scalar = stream.bytes(32)
        guard let own = P256.PrivateKey(scalar: scalar) else {
            throw BenchmarkError("these 32 bytes are no private key of P-256")
        }
        let digest = SHA256.digest([UInt8](repeating: 0xA5, count: 100))
        let message = GBCSMessage(
            header: GroupingHeader(
                kind: .command, counter: 1000, originator: supplier, recipient: meter,
                otherInformation: OtherInformation(.activateFirmware)),
            payload: MessageContent.activateFirmware(
                ActivateFirmware(hash: digest, originatorCounter: 1000)
            ).encoded()
        ).signed(by: signing)
        secret = brokers.sharedSecret(with: own.publicKey)
        let whole = message.withMAC(message.mac(sharedSecret: secret))
        bytes = whole.encoded()

        var keys = KeyStore()
        keys.add(signing.publicKey, of: supplier, for: .signing)
        keys.set(.supplier, of: supplier)
        keys.add(brokers.publicKey, of: broker, for: .agreement)
        keys.set(.accessControlBroker, of: broker)
        keys.add(own, of: meter, for: .agreement)
        self.keys = keys

        guard case .signature(let signature) = whole.signature,
            let bare = p256_prepare(
                signing.publicKey.x963, SHA256.digest(whole.signedBytes).bytes, signature.bytes,
                scalar, own.publicKey.x963, brokers.publicKey.x963)
        else { throw BenchmarkError("libcrypto does not take the keys of the benchmark") }
        self.bare = bare
    }

    deinit { p256_free(bare) }

    /// Seconds of processor time for so many checks.
    func run(_ count: Int) throws -> Double {
        let began = processorTime()
        for _ in 0..<count {
            let message = try GBCSMessage(parsing: bytes)
            guard message.verifySignature(with: keys) == .valid,
                message.verifyMAC(with: keys) == .valid
            else { throw BenchmarkError("the message is not valid") }
        }
        return processorTime() - began
    }

    /// Seconds of processor time for so many verifications and agreements of libcrypto's.
    func runBare(_ count: Int) throws -> Double {
        var agreed = [UInt8](repeating: 0, count: 32)
        let began = processorTime()
        for _ in 0..<count {
            guard p256_do(bare, &agreed) == 1 else {
                throw BenchmarkError("libcrypto cannot do the bare work")
            }
        }
        let seconds = processorTime() - began
        guard agreed == secret else { throw BenchmarkError("the two agree on different secrets") }
        return seconds
    }
}
