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
    /// keeps its counters.
    ///
    /// One that was established with the partner stays in use, also if the partner was gone
    /// meanwhile: whoever never heard of that still talks under it. With `replacingEstablished` it
    /// is put away instead.
    public mutating func setLinkKey(
        _ key: Key128, partner: EUI64, replacingEstablished: Bool = false
    ) {
        let index = aps.linkKey(with: partner)
        let old = index.map { aps.linkKeys[$0] }
        if let old, old.isEstablished, !replacingEstablished { return }
        let before =
            replacingEstablished ? nil : takeRetired { $0.partner == partner && $0.isEstablished }
        if before == nil, old?.key == key { return }
        var link =
            takeRetired { $0.partner == partner && $0.key == key && !$0.isEstablished }
            ?? LinkKey(partner: partner, key: key, outgoingCounter: aps.forgottenCounter)
        if let old {
            if old.key == key { link = old } else { retire(old) }
        }
        if var before {
            before.origin = .establishedBefore
            retire(link)
            link = before
        }
        if let index { aps.linkKeys[index] = link } else { aps.linkKeys.append(link) }
        requestSave()
    }

    /// Puts the install code's link key of a device in use while it is sent the network key to join
    /// anew, if the one in use was established before it was put in the device log anew: it may
    /// have lost that one. All else that it says is under the other until it has established
    /// another, so that nobody who only claims to be it takes its key away.
    ///
    /// Returns for `exchangeKeys` where the other one is meanwhile; nil if nothing was done.
    mutating func exchangeForJoining(_ index: Int) -> Int? {
        let link = aps.linkKeys[index]
        guard link.origin == .establishedBefore,
            let other = aps.retiredKeys.firstIndex(where: {
                $0.partner == link.partner && !$0.isEstablished
            })
        else { return nil }
        exchangeKeys(index, other)
        return other
    }

    /// Puts a retired key in use, and the one that was used in its place.
    mutating func exchangeKeys(_ index: Int, _ retired: Int) {
        swap(&aps.linkKeys[index], &aps.retiredKeys[retired])
    }

    /// A link key was established with a partner: from now on it is used instead of the one there
    /// was. A preconfigured one keeps its counters, for the day that the partner comes back with
    /// nothing but its install code.
    public mutating func establishLinkKey(_ key: Key128, partner: EUI64) {
        var link = LinkKey(partner: partner, key: key)
        link.origin = .established
        aps.retiredKeys.removeAll { $0.partner == partner && $0.isEstablished }
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

    /// Of each partner one key of each kind is kept. Where there is no room, established ones go
    /// first: another is established in their place, but an install code's key is always the same.
    mutating func retire(_ link: LinkKey) {
        while let index = aps.retiredKeys.firstIndex(where: {
            $0.partner == link.partner && $0.isEstablished == link.isEstablished
        }) {
            forget(aps.retiredKeys.remove(at: index))
        }
        if aps.retiredKeys.count >= APSLayer.retiredLimit {
            let oldest = aps.retiredKeys.firstIndex { $0.isEstablished } ?? 0
            forget(aps.retiredKeys.remove(at: oldest))
        }
        aps.retiredKeys.append(link)
    }

    /// A key from an install code may come again, and its counters must not.
    private mutating func forget(_ link: LinkKey) {
        guard !link.isEstablished else { return }
        aps.forgottenCounter = max(
            aps.forgottenCounter, max(link.outgoingCounter, link.reservedUpTo))
    }

    private mutating func takeRetired(_ isMeant: (LinkKey) -> Bool) -> LinkKey? {
        aps.retiredKeys.firstIndex(where: isMeant).map { aps.retiredKeys.remove(at: $0) }
    }
}
