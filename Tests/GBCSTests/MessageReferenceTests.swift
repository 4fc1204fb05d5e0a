import Crypto
import Foundation
import GBCS
import Testing
import Wire

/// The published test messages and the keys of their parties, if they are there.
enum PublishedMessages {
    struct File: Sendable, CustomStringConvertible {
        var name: String
        var bytes: [UInt8]
        var description: String { name }
    }

    static let folder = ReferenceData.folder?.appending(path: "rtds")

    /// Every message, in the order of names.
    static let all: [File] = {
        guard let folder else { return [] }
        let names = FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String]
        return (names ?? []).filter { $0.hasSuffix(".HEX") }.sorted().map { name in
            let text = try? String(contentsOf: folder.appending(path: name), encoding: .utf8)
            let bytes = text.flatMap { Hex.bytes($0.filter { !$0.isWhitespace }) }
            return File(
                name: name.split(separator: "/").last.map(String.init) ?? name, bytes: bytes ?? [])
        }
    }()

    static func message(_ part: String) throws -> GBCSMessage {
        let file = try #require(all.first { $0.name.contains(part) })
        return try GBCSMessage(parsing: file.bytes)
    }

    /// The key store of the published parties, by the names of its files.
    static let keys: KeyStore = {
        var keys = KeyStore()
        guard let store = folder?.appending(path: "keystore") else { return keys }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: store.path)) ?? []
        for name in names.sorted() {
            guard let party = EUI64(String(name.prefix(16))),
                let data = try? Data(contentsOf: store.appending(path: name))
            else { continue }
            let use: KeyStore.Use =
                name.contains("-pp-") ? .prepayment : name.contains("-ds.") ? .signing : .agreement
            if let certificate = try? Certificate([UInt8](data)) {
                keys.add(certificate, of: party, for: use)
            } else if let key = try? P256.PrivateKey(pkcs8: [UInt8](data)) {
                keys.add(key, of: party, for: use)
            } else if let key = try? P256.PublicKey(spki: [UInt8](data)) {
                keys.add(key, of: party, for: use)
            }
        }
        return keys
    }()
}

@Suite(
    "Published GBCS messages",
    .enabled(
        if: PublishedMessages.folder != nil,
        "no reference data beside the project; set HAN_REFERENCE to its folder"))
struct MessageReferenceTests {
    static let keys = PublishedMessages.keys

    @Test("there are as many as were handed out, and their parties' keys")
    func complete() {
        #expect(PublishedMessages.all.count >= 17)
        #expect(Self.keys.accessControlBrokers == [EUI64(0x90B3_D51F_3000_0002)])
        #expect(Self.keys.isDevice(EUI64(0x00DB_1234_5678_90A0)))
        #expect(Self.keys.role(of: EUI64(0x90B3_D51F_3001_0000)) == .supplier)
        #expect(Self.keys.role(of: EUI64(0x90B3_D51F_3000_0007)) == .wanProvider)
    }

    @Test(
        "each is taken apart, its signature and MAC are valid, and it is put together again",
        arguments: PublishedMessages.all)
    func verifies(file: PublishedMessages.File) throws {
        let message = try GBCSMessage(parsing: file.bytes)
        #expect(message.encoded() == file.bytes)
        let demanded = message.demandedProtection
        #expect(
            message.verifySignature(with: Self.keys) == (demanded.signature ? .valid : .absent))
        #expect(message.verifyMAC(with: Self.keys) == (demanded.mac ? .valid : .absent))
        if file.name.contains("PRECOMMAND") { #expect(message.isPreCommand) }
        let other = KeyStore()
        if demanded.signature { #expect(message.verifySignature(with: other) == .noKey) }
        if demanded.mac { #expect(message.verifyMAC(with: other) == .noKey) }
    }

    @Test(
        "each is understood inside, and rebuilt from its fields",
        arguments: PublishedMessages.all)
    func rebuilds(file: PublishedMessages.File) throws {
        let message = try GBCSMessage(parsing: file.bytes)
        let content = try MessageContent(of: message)
        if case .other = content { Issue.record("\(file.name) is not understood") }
        let read = message.header
        var rebuilt = GBCSMessage(
            header: GroupingHeader(
                kind: read.kind, counter: read.counter, originator: read.originator,
                recipient: read.recipient, dateTime: read.dateTime,
                otherInformation: OtherInformation(
                    read.otherInformation.messageCode,
                    remoteParty: read.otherInformation.remoteParty,
                    remotePartyCounter: read.otherInformation.remotePartyCounter)),
            payload: content.encoded())
        guard read.kind == .command else {
            #expect(rebuilt.signedBytes == message.signedBytes)
            return
        }
        // The keys of remote parties are public: what they sent can be made anew.
        if message.demandedProtection.signature {
            rebuilt = rebuilt.signed(
                by: try #require(Self.keys.privateSigningKeys(of: read.originator).first))
            #expect(rebuilt.verifySignature(with: Self.keys) == .valid)
            #expect(rebuilt.signedBytes == message.signedBytes)
        }
        if message.mac != nil {
            rebuilt = try #require(rebuilt.authenticated(with: Self.keys))
            #expect(rebuilt.verifyMAC(with: Self.keys) == .valid)
        }
        if message.demandedProtection.signature {
            #expect(rebuilt.encoded().count == file.bytes.count)
            #expect(rebuilt.signature != message.signature)
            var same = rebuilt
            same.signature = message.signature
            #expect(try #require(same.authenticated(with: Self.keys)).encoded() == file.bytes)
        } else {
            #expect(rebuilt.encoded() == file.bytes)
        }
    }

    @Test("a message that another party signed, or that was signed for another device, is invalid")
    func wrongSigner() throws {
        let message = try PublishedMessages.message("IMMEDIATE_SUCCESS_COMMAND").withoutMAC
        let other = EUI64(0x90B3_D51F_3003_0000)
        let key = try #require(Self.keys.privateSigningKeys(of: other).first)
        let forged = try #require(message.signed(by: key).authenticated(with: Self.keys))
        #expect(forged.verifySignature(with: Self.keys) == .invalid)
        #expect(forged.verifyMAC(with: Self.keys) == .valid)

        var diverted = try PublishedMessages.message("IMMEDIATE_SUCCESS_COMMAND")
        diverted.header.recipient = EUI64(0x00DB_1234_5678_90A1)
        #expect(diverted.verifySignature(with: Self.keys) == .invalid)
        #expect(diverted.verifyMAC(with: Self.keys) == .invalid)
        let again = try #require(diverted.authenticated(with: Self.keys))
        #expect(again.verifySignature(with: Self.keys) == .invalid)
    }

    @Test("the MAC of another message, or a supplier's in the broker's place, is invalid")
    func wrongMAC() throws {
        let one = try PublishedMessages.message("IMMEDIATE_SUCCESS_COMMAND")
        let two = try PublishedMessages.message("IMMEDIATE_ERROR_COMMAND")
        #expect(one.withMAC(try #require(two.mac)).verifyMAC(with: Self.keys) == .invalid)

        let supplier = try #require(
            Self.keys.privateAgreementKeys(of: one.header.originator).first)
        let device = try #require(Self.keys.agreementKeys(of: one.header.recipient).first)
        let secret = supplier.sharedSecret(with: device)
        #expect(one.withMAC(one.mac(sharedSecret: secret)).verifyMAC(with: Self.keys) == .invalid)
    }

    @Test("a message cut short anywhere is refused, or not valid as a whole")
    func truncated() throws {
        for file in PublishedMessages.all {
            for count in 0..<file.bytes.count {
                do {
                    let message = try GBCSMessage(parsing: Array(file.bytes[..<count]))
                    // The end of the payload, where a pre-command ends.
                    #expect(message.mac == nil && message.signature == .missing, "\(file) \(count)")
                    #expect(message.verifySignature(with: Self.keys) != .valid)
                } catch {
                    #expect(error.offset <= count, "\(file) \(count): \(error)")
                }
            }
        }
    }

    @Test("no message with one byte changed is valid", arguments: PublishedMessages.all)
    func flipped(file: PublishedMessages.File) throws {
        let message = try GBCSMessage(parsing: file.bytes)
        guard !message.isPreCommand else { return }
        let whole = message.demandedProtection
        for index in file.bytes.indices {
            var bytes = file.bytes
            bytes[index] ^= index % 2 == 0 ? 0x01 : 0x80
            guard let changed = try? GBCSMessage(parsing: bytes) else { continue }
            _ = try? MessageContent(of: changed)
            if whole.mac {
                #expect(changed.verifyMAC(with: Self.keys) != .valid, "\(index)")
            } else {
                #expect(changed.verifySignature(with: Self.keys) != .valid, "\(index)")
            }
        }
    }

    @Test("the shared secrets and keys are those of the worked examples")
    func secrets() throws {
        let broker = try #require(
            Self.keys.privateAgreementKeys(of: EUI64(0x90B3_D51F_3000_0002)).first)
        let device = try #require(
            Self.keys.agreementKeys(of: EUI64(0x00DB_1234_5678_90A0)).first)
        let secret = broker.sharedSecret(with: device)
        #expect(
            Hex.string(secret) == "ed342441df01551a6beaff3b54adc981f4c6a7e71dff4c3e1cc80b3c9f4e5ac0"
        )
        let message = try PublishedMessages.message("IMMEDIATE_SUCCESS_COMMAND")
        let key = ConcatenationKDF.key(
            secret: secret, otherInformation: message.keyDerivationInformation)
        #expect(Hex.string(key.bytes) == "ec1d51bd8f8bf0cdd2314cf396cc12c0")
    }
}
