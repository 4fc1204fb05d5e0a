import Crypto
import GBCS
import Wire

extension Home {
    /// Has members and remote parties use these credentials; everybody else keeps those that follow
    /// from the run's seed. `folder` is where they are from, for messages. Of `absent`, whose part
    /// is played elsewhere, certificates alone are enough.
    public mutating func use(
        _ credentials: [EUI64: MemberCredentials], from folder: String, absent: Set<String> = []
    ) throws(CredentialError) {
        for (id, own) in credentials.sorted(by: { $0.key < $1.key }) {
            let isWhole = own.signing?.key != nil && own.agreement?.key != nil
            if !isWhole, own.signing != nil || own.agreement != nil, !isElsewhere(id, absent) {
                throw .content(
                    folder,
                    "to send and check messages, \(id) needs a signing certificate and a "
                        + "key-agreement certificate, each with its private key")
            }
            if let index = devices.firstIndex(where: { $0.eui64 == id }) {
                try checkEstablishment(own, of: devices[index].name, folder)
                if let code = own.installCode { devices[index].installCode = code }
                continue
            }
            guard own.installCode == nil else {
                throw .content(
                    folder, "it has an install code of \(id), which is no device of '\(name)'")
            }
            if id == hub.eui64 {
                try checkEstablishment(own, of: hub.name, folder)
                continue
            }
            guard id == hub.chf || MessageParties.all.contains(id) else {
                throw .content(
                    folder,
                    "it has credentials of \(id), who is neither in the home '\(name)' nor one of "
                        + "its remote parties")
            }
            guard own.establishment.isEmpty else {
                throw .content(
                    folder,
                    "it has credentials of \(id) for key establishment, but nobody on the HAN of "
                        + "'\(name)' has this address")
            }
        }
        self.credentials = credentials
    }

    /// Has everybody use the keys of a key store. Of a supplier, a network operator or a
    /// transitional CoS public halves are enough: they are played by service users. Members, the
    /// Access Control Broker and the WAN provider are played here, and keep their own unless both
    /// private keys are there. Gives those of them that are in it without.
    @discardableResult
    public mutating func use(_ keys: KeyStore) -> [EUI64] {
        let played =
            [hub.chf, hub.eui64] + devices.map(\.eui64)
            + [MessageParties.broker, MessageParties.wanProvider]
        let left = played.filter { id in
            let isKnown = !keys.signingKeys(of: id).isEmpty || !keys.agreementKeys(of: id).isEmpty
            return isKnown
                && (keys.privateSigningKeys(of: id).isEmpty
                    || keys.privateAgreementKeys(of: id).isEmpty)
        }
        messageKeys = keys
        for id in left { messageKeys.remove(id) }
        return left
    }

    private func isElsewhere(_ id: EUI64, _ absent: Set<String>) -> Bool {
        if let device = devices.first(where: { $0.eui64 == id }) {
            return absent.contains(device.name)
        }
        return (id == hub.eui64 || id == hub.chf) && absent.contains(hub.name)
    }

    private func checkEstablishment(
        _ own: MemberCredentials, of member: String, _ folder: String
    ) throws(CredentialError) {
        guard !own.establishment.isEmpty, keyEstablishment == .installCode else { return }
        throw .content(
            folder,
            "it has credentials of \(member) for key establishment, but the home '\(name)' "
                + "establishes no keys: its keyEstablishment is installCode")
    }

    /// Whether the hub can establish keys with devices of an authority other than the run's own: it
    /// then expects that of whoever takes a device's place as well.
    public var hubHasForeignAuthority: Bool {
        !(credentials[hub.eui64]?.establishment.isEmpty ?? true)
    }

    /// Devices that the hub will refuse because it has nothing of their authority.
    public var strangersToHub: [String] {
        let known = (credentials[hub.eui64]?.establishment ?? []).map(\.authority)
        return devices.filter { device in
            let own = Self.preferred(credentials[device.eui64]?.establishment ?? [], self)
            return own.map { !known.contains($0.authority) } ?? false
        }.map(\.name)
    }

    /// What a device establishes its key with: in the suite of the home, if it can.
    static func preferred(_ own: [CBKECredentials], _ home: Home) -> CBKECredentials? {
        own.first { $0.suite == home.keyEstablishment.suite } ?? own.first
    }
}
