import Crypto
import DCC
import GBCS
import Wire

extension DCCKeys {
    /// What the DCC has of the keys of these homes, which follow from `seed` but for those that
    /// were given: the Access Control Broker's own, and what everybody else is known by. `users`
    /// are the suppliers who sign commands.
    public init(of homes: [Home], users: [EUI64], seed: Seed) {
        var store = KeyStore()
        let broker = MessageParties.broker
        let common = homes.reduce(into: [:]) { all, home in
            all.merge(home.credentials) { first, _ in first }
        }
        let parties = MessageParties(
            seed: seed, credentials: common, keys: homes.first?.messageKeys ?? KeyStore())
        store.add(parties.signingKey(of: broker), of: broker, for: .signing)
        store.add(parties.agreementKey(of: broker), of: broker, for: .agreement)
        store.set(.accessControlBroker, of: broker)
        for (party, role) in users.filter({ $0 != broker }).sorted().map({
            ($0, Certificate.Role.supplier)
        })
            + [(MessageParties.wanProvider, .wanProvider)]
        {
            store.add(parties.publicSigningKey(of: party), of: party, for: .signing)
            store.add(parties.publicAgreementKey(of: party), of: party, for: .agreement)
            store.set(role, of: party)
        }
        for home in homes {
            let own = MessageParties(seed: seed, of: home)
            for entity in [home.hub.chf, home.hub.eui64] + home.devices.map(\.eui64) {
                store.add(own.publicSigningKey(of: entity), of: entity, for: .signing)
                store.add(own.publicAgreementKey(of: entity), of: entity, for: .agreement)
                store.setDevice(entity)
            }
        }
        self.init(store)
    }
}

extension Manifest {
    /// An entry's image as a run uses it.
    public func runImage(for entry: Entry) throws(ManifestError) -> RunImage {
        let image = try image(for: entry)
        return RunImage(
            name: entry.id, bytes: image.encoded(), version: entry.version,
            hash: image.manufacturerImageHash, installableFrom: entry.installableFrom.list)
    }
}
