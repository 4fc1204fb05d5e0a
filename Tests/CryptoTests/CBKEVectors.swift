import Crypto
import Wire

/// Two devices that establish a key, as published for each suite (Smart Energy C.5).
struct CBKEVector: Sendable {
    struct Party: Sendable {
        var eui64: EUI64
        var certificate: [UInt8]
        var privateKey: [UInt8]
        var publicKey: [UInt8]
        var ephemeralKey: [UInt8]
        var ephemeralPoint: [UInt8]
    }

    var suite: CBKESuite
    var authority: [UInt8]
    var issuer: EUI64
    var initiator: Party
    var responder: Party
    var secret: [UInt8]
    var macKey: Key128
    var linkKey: Key128
    /// Where they are published.
    var initiatorMAC: Key128?
    var responderMAC: Key128?

    func authorityKey() throws -> CBKEAuthority {
        CBKEAuthority(issuer: issuer, publicKey: try CBKEPoint(authority, suite: suite))
    }

    static let all = [one, two]

    static let one = CBKEVector(
        suite: .one, authority: hex("0200fde8a7f3d1084224962a4e7c54e69ac3f04da6b8"),
        issuer: EUI64(0x5445_5354_5345_4341),
        initiator: Party(
            eui64: EUI64(2),
            certificate: hex(
                "020615e07d30eca2dad58002e667d94bc1b422398307 0000000000000002"
                    + "5445535453454341 01090006000000000000"),
            privateKey: hex("01e9ddb5580cf72ece7f215f0ae594e48df3e7fee8"),
            publicKey: hex("03025bba38d0c7b5436b68df728f093e7a1d6c437e6d"),
            ephemeralKey: hex("0013d36de4b1ea8e22739c381370823f404bff8862"),
            ephemeralPoint: hex("0300e117c86d0e7cd128b2f34e9076cff24af46d7288")),
        responder: Party(
            eui64: EUI64(1),
            certificate: hex(
                "03045fdfc8d85ffb8b3993cb72ddcaa55f00b3e87d6d 0000000000000001"
                    + "5445535453454341 01090006000000000000"),
            privateKey: hex("00b8a900fcadebabbfa383b540fce9ed438395eaa7"),
            publicKey: hex("030290a1f5c08dad5f2945e335620c7a98fac46666a1"),
            ephemeralKey: hex("03d48c7210ddbcc4fb2e5e7a0aa16a0db89540820b"),
            ephemeralPoint: hex("0306ab52062201d995b8b8591f3f086a3a2e214d845e")),
        secret: hex("00e0d2c3ccd5c106a89c4f6cc26a5f7ec9df78a7be"),
        macKey: key("90f967b22c8357c10c1c04788de9e848"),
        linkKey: key("86d58aaa998e2faefaf9fef49606543a"),
        initiatorMAC: key("b82f1f9774740c32f80fcfc3921b6420"),
        responderMAC: key("79d5f2ad1c31d4d1ee7cb719ac683c3c"))

    /// The initiator's ephemeral key is published above the order n; here it is reduced.
    static let two = CBKEVector(
        suite: .two,
        authority: hex(
            "0207a445022d9f39f49bdc38380026a27a9e0a1799313ab28c5c1a1c6b605154db1dff6752"),
        issuer: EUI64(0x1112_1314_1516_1718),
        initiator: Party(
            eui64: EUI64(0x0A0B_0C0D_0E0F_1011),
            certificate: hex(
                "002622a505e8938f270d0811121314151617180052"
                    + "92a35bffffffff0a0b0c0d0e0f1011880303b4e9"
                    + "dc543a64333c982308022b54e67e2f15f532551b0a11e2e2c1c1d3097a4324e7ed"),
            privateKey: hex(
                "0151cd0dbcb80474bf7ac9feebe39c7a32a63518938fca9754aae132bc9c73be94a7e1be"),
            publicKey: hex(
                "0202f4fa2a3040433c6820299d182a1042e41404e337c57f47716b42dfaf970f1580a04c9b"),
            ephemeralKey: hex(
                "01d48c7210ddbcc4fb2e5e7a0aa16a0db89556d3dcbd4b1a84f41f28906ac311acc85cfa"),
            ephemeralPoint: hex(
                "03009a5131cf5b92a016378c0f7f284ecd47f94010f875d43bf1e9a65474adbfc63696a930")),
        responder: Party(
            eui64: EUI64(0x0A0B_0C0D_0E0F_1012),
            certificate: hex(
                "0084a933b37f018dec0d0811121314151617180052"
                    + "92a38affffffff0a0b0c0d0e0f10128803076277"
                    + "e2f7e2252b16a0e92b6e8771bb3f207946cbd4a45d9a9df6edab8c796a48e89dec"),
            privateKey: hex(
                "00f2561adb39ef49c1d62ef5186c6e0c158a5a45bfce38660931acc3694592d5acde9006"),
            publicKey: hex(
                "03030e56f7ade866e76372764ba20a9ff1fe4cae522f94839e70f2adfc1ca3e97f4ddcaf2e"),
            ephemeralKey: hex(
                "0013d36de4b1ea8e22739c381370823f404bff8862b521feca9871fb3691846d361304b4"),
            ephemeralPoint: hex(
                "0305f3394e15680660eecaa36788d9b6f312b971ce2c9617570bf7dfcd21c972017762c332")),
        secret: hex("04f7724a9a77b21d2747ccef68a457e45246c4be9f66fd9425227bcb2cc5180ea9cccb9a"),
        macKey: key("ed380a00296600fb6b893025de5fd137"),
        linkKey: key("aa4689c70be0faf0c9be534abd9f4cdc"), initiatorMAC: nil, responderMAC: nil)
}
