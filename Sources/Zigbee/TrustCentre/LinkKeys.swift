import Wire

/// Link keys: those made from install codes, and those established later (Smart Energy Annex C),
/// which take their place.
extension ZigbeeStack {
    /// The trust centre of the network that this node is in; `unknown` before it has heard of it.
    public var trustCentreAddress: EUI64 { network.trustCentre }

    /// Whether the link key shared with a partner was established rather than made from an install
    /// code.
    ///
    /// Inlined, or the whole stack would be copied for the call.
    @inline(__always)
    public func hasEstablishedKey(with partner: EUI64) -> Bool {
        aps.linkKey(with: partner).map { aps.linkKeys[$0].isEstablished } ?? false
    }

    /// The link key that was established with a partner, for the evidence.
    public func establishedKey(with partner: EUI64) -> Key128? {
        guard let index = aps.linkKey(with: partner), aps.linkKeys[index].isEstablished else {
            return nil
        }
        return aps.linkKeys[index].key
    }

    /// Keeps a preconfigured link key for a partner, replacing another one it had; an unchanged key
    /// keeps its counters. One that was established with the partner stays, also if the partner was
    /// gone meanwhile.
    public mutating func setLinkKey(_ key: Key128, partner: EUI64) {
        if let index = aps.linkKey(with: partner) {
            guard aps.linkKeys[index].key != key, !aps.linkKeys[index].isEstablished else { return }
            aps.linkKeys[index] =
                takeRetired(key, of: partner) ?? LinkKey(partner: partner, key: key)
        } else if let index = aps.retiredKeys.firstIndex(where: {
            $0.partner == partner && $0.isEstablished
        }) {
            aps.linkKeys.append(aps.retiredKeys.remove(at: index))
        } else {
            aps.linkKeys.append(
                takeRetired(key, of: partner) ?? LinkKey(partner: partner, key: key))
        }
        requestSave()
    }

    /// A link key was established with a partner: from now on it is used instead of the one there
    /// was. A preconfigured one keeps its counters, for the day that the partner comes back with
    /// nothing but its install code.
    public mutating func establishLinkKey(_ key: Key128, partner: EUI64) {
        var link = LinkKey(partner: partner, key: key)
        link.isEstablished = true
        if let index = aps.linkKey(with: partner) {
            let old = aps.linkKeys[index]
            aps.linkKeys[index] = link
            if !old.isEstablished { retire(old) }
        } else {
            aps.linkKeys.append(link)
        }
        requestSave()
    }

    /// A device that has no network yet: whoever sends it a key under its install code's link key
    /// is its trust centre. Counters it has used before go on. A key that it has established with a
    /// trust centre stays beside it: that one may let it in under either.
    public mutating func expectTrustCentre(with key: Key128) {
        if let index = aps.linkKeys.firstIndex(where: { $0.key == key }) {
            aps.linkKeys[index].partner = .unknown
        } else if let index = aps.retiredKeys.firstIndex(where: { $0.key == key }) {
            var link = aps.retiredKeys.remove(at: index)
            link.partner = .unknown
            aps.linkKeys.append(link)
            requestSave()
        } else {
            setLinkKey(key, partner: .unknown)
        }
    }

    /// The install code's key, under which a device was let in, is the one that it shares with this
    /// trust centre: of one that was established before, the trust centre knows nothing any more.
    mutating func settlePreconfiguredKey(with partner: EUI64) {
        aps.linkKeys.removeAll { $0.partner == partner }
        if let index = aps.linkKey(with: .unknown) { aps.linkKeys[index].partner = partner }
    }

    /// Of each partner one key of each kind is kept.
    mutating func retire(_ link: LinkKey) {
        aps.retiredKeys.removeAll {
            $0.partner == link.partner && $0.isEstablished == link.isEstablished
        }
        if aps.retiredKeys.count == APSLayer.retiredLimit { aps.retiredKeys.removeFirst() }
        aps.retiredKeys.append(link)
    }

    private mutating func takeRetired(_ key: Key128, of partner: EUI64) -> LinkKey? {
        let index = aps.retiredKeys.firstIndex { $0.partner == partner && $0.key == key }
        return index.map { aps.retiredKeys.remove(at: $0) }
    }
}
