import Wire

/// The keys that follow from a link key by HMAC-MMO of one byte (ZigBee 4.5.3). Each costs a few
/// key schedules: keep what is used again.
extension Key128 {
    /// Secures a Transport Key command that carries a network key (input 0x00).
    public var keyTransportKey: Key128 { HMACMMO.authenticate([0x00], key: bytes) }

    /// Secures a Transport Key command that carries a link key (input 0x02).
    public var keyLoadKey: Key128 { HMACMMO.authenticate([0x02], key: bytes) }

    /// What a Verify Key command shows to prove that its sender has this link key (input 0x03).
    public var verifyKeyHash: Key128 { HMACMMO.authenticate([0x03], key: bytes) }
}
