import Crypto
import Wire

/// How the devices of a home come to the link keys that they share with the hub.
public enum HomeKeyEstablishment: String, CaseIterable, Sendable {
    /// Established by certificates, suite 2 (sect283k1).
    case suite2
    /// The same in suite 1 (sect163k1).
    case suite1
    /// Those of their install codes.
    case installCode

    var suite: CBKESuite? {
        switch self {
        case .suite2: .two
        case .suite1: .one
        case .installCode: nil
        }
    }
}

extension Home {
    /// The home's certificates for key establishment: of an authority of its own, which like them
    /// follows from the run's seed, so that the processes of a home agree without a word.
    struct Authority {
        /// Their issuer. An EUI-64 that begins with 02 belongs to no maker.
        static let issuer = EUI64(0x0247_4243_4100_0000)

        private let issuer: CBKEIssuer
        private let seed: Seed

        /// Nil for a home without certificates.
        init?(_ home: Home, seed: Seed) {
            guard let suite = home.keyEstablishment.suite else { return nil }
            self.seed = seed.named("authority")
            var stream = SeededStream(self.seed)
            issuer = CBKEIssuer(issuer: Self.issuer, suite: suite, from: &stream)
        }

        /// What a member of the home holds; the same whenever it is asked for.
        func credentials(of eui64: EUI64) -> CBKECredentials {
            var stream = SeededStream(seed.indexed(eui64.rawValue))
            do {
                return try issuer.credentials(for: eui64, from: &stream)
            } catch {
                preconditionFailure("the form is the suite's: \(error)")
            }
        }
    }
}
