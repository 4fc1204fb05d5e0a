import Foundation
import TestSupport
import Testing

/// The published messages and keys, if they are there.
private enum Published {
    static let folder = Reference.folder?.appending(path: "rtds").path(percentEncoded: false)
    static var keystore: String { (folder ?? "") + "/keystore" }

    static let files: [String] = {
        guard let folder else { return [] }
        let names = FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []
        return names.filter { $0.hasSuffix(".HEX") }.sorted().map { folder + "/" + $0 }
    }()

    static func file(_ part: String) throws -> String {
        try #require(files.first { $0.contains(part) })
    }

    static func hex(_ part: String) throws -> String {
        try String(contentsOfFile: file(part), encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

private func decode(_ arguments: [String]) throws -> (code: Int32, list: [[String: Any]]) {
    let run = try RunHan.han(["gbcs", "decode", "--json"] + arguments)
    let list = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]]
    return (run.code, try #require(list))
}

@Suite("han gbcs")
struct GBCSCommandTests {
    static let supplier = "0247420000000100"
    static let esme = "0247420000010001"
    static let hash = String(repeating: "ab", count: 32)

    /// A key store with a supplier, a broker and an ESME, made by openssl: certificates as the GB
    /// PKI has them, and their private keys.
    static func makeKeys(in folder: TemporaryFolder) throws -> String {
        let parties = [
            (supplier, "02"), ("0247420000000002", "04"), (esme, ""),
        ]
        try folder.write([], as: "keys/README.txt")
        for (id, role) in parties {
            for (use, usage) in [("ds", "digitalSignature"), ("ka", "keyAgreement")] {
                let alternative =
                    role.isEmpty
                    ? "\nsubjectAltName=critical,otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hardware" : ""
                let subject = role.isEmpty ? "CN=\(id)" : "OU=\(role)\nCN=\(id)"
                let settings = """
                    [req]
                    distinguished_name=name
                    x509_extensions=extensions
                    prompt=no
                    [name]
                    \(subject)
                    [extensions]
                    keyUsage=critical,\(usage)\(alternative)
                    [hardware]
                    type=OID:1.2.3
                    serial=FORMAT:HEX,OCT:\(id)
                    """
                try folder.write(Array(settings.utf8), as: "settings")
                let run = try RunHan.run(
                    "openssl",
                    [
                        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-config", "settings", "-days", "2", "-keyout",
                        "keys/\(id)-\(use).key", "-out", "keys/\(id)-\(use).pem",
                    ], in: folder.path)
                try #require(run.code == 0, "\(run.errors)")
            }
        }
        return folder.path + "/keys"
    }

    static let command = [
        "gbcs", "encode", "cs06", "--from", supplier, "--to", esme, "--counter", "1000", "--hash",
        hash,
    ]

    @Test("a command is made, signed and authenticated step by step or at once, to the same bytes")
    func steps() throws {
        let folder = try TemporaryFolder()
        let keys = try Self.makeKeys(in: folder)
        let bare = try RunHan.han(Self.command)
        #expect(bare.code == 0 && bare.output.hasPrefix("DF090100000000000003E8"))
        try folder.write(Array(bare.output.utf8), as: "bare.hex")
        let key = "\(keys)/\(Self.supplier)-ds.key"
        let signed = try RunHan.han(["gbcs", "sign", "bare.hex", "--key", key], in: folder.path)
        #expect(signed.code == 0 && signed.output.hasPrefix(bare.output.dropLast()))
        #expect(signed.output.count == bare.output.count + 130)
        let whole = try RunHan.han(
            ["gbcs", "sign", "bare.hex", "--key", key, "--mac", "--keystore", keys],
            in: folder.path)
        #expect(whole.code == 0, "\(whole.errors)")
        let made = try RunHan.han(Self.command + ["--keystore", keys])
        #expect(made.output == whole.output && made.output.hasPrefix("DD000000000000"))

        let (code, list) = try decode([made.output, "--keystore", keys])
        #expect(code == 0)
        #expect(list[0]["useCase"] as? String == "CS06")
        #expect(list[0]["signature"] as? String == "valid")
        #expect(list[0]["mac"] as? String == "valid")
    }

    @Test("openssl accepts the signature over the bytes that it has to cover")
    func openssl() throws {
        let folder = try TemporaryFolder()
        let keys = try Self.makeKeys(in: folder)
        let bare = try RunHan.han(Self.command).output.trimmingCharacters(in: .newlines)
        let key = "\(keys)/\(Self.supplier)-ds.key"
        let signed = try RunHan.han(["gbcs", "sign", bare, "--key", key]).output
        let bytes = try #require(Self.bytes(signed.trimmingCharacters(in: .newlines)))
        let signature = bytes.suffix(64)
        try folder.write(
            ImageCommandTests.der(r: Array(signature.prefix(32)), s: Array(signature.suffix(32))),
            as: "signature")
        try folder.write(Array(try #require(Self.bytes(bare)).dropFirst()), as: "covered")
        let check = try RunHan.run(
            "openssl",
            [
                "dgst", "-sha256", "-prverify", key, "-signature", "signature", "covered",
            ], in: folder.path)
        #expect(check.code == 0, "\(check.output)\(check.errors)")
        // The payload is DER of the shape that it should have.
        try folder.write(Array(try #require(Self.bytes(bare)).dropFirst(34)), as: "payload")
        let shape = try RunHan.run(
            "openssl", ["asn1parse", "-inform", "DER", "-in", "payload"], in: folder.path)
        #expect(shape.code == 0 && shape.output.contains("OCTET STRING"))
        #expect(shape.output.contains("INTEGER           :03E8"))
    }

    private static func bytes(_ hex: String) -> [UInt8]? {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0
        }
    }

    @Test("hex in any spelling, in files or not, and bytes are the same message")
    func spellings() throws {
        let folder = try TemporaryFolder()
        let hex = try RunHan.han(Self.command).output.trimmingCharacters(in: .newlines)
        let bytes = try #require(Self.bytes(hex))
        try folder.write(bytes, as: "message.bin")
        let words = bytes.map { "0x" + String($0, radix: 16).leftPadded }.joined(separator: "\r\n ")
        try folder.write(Array(words.utf8), as: "message.txt")
        try folder.write(Array("\n 0x\(hex.lowercased())\n\n".utf8), as: "lower.hex")
        let run = try RunHan.han(
            ["gbcs", "decode", "--json", hex, "message.bin", "message.txt", "lower.hex"],
            in: folder.path)
        #expect(run.code == 0, "\(run.errors)")
        let list = try #require(
            JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]])
        #expect(
            list.map { $0["file"] as? String } == [hex, "message.bin", "message.txt", "lower.hex"])
        #expect(
            list.allSatisfy {
                $0["size"] as? Int == bytes.count && $0["mac"] as? String == "absent"
            })
    }

    @Test("what is wrong with an argument is said, with its exit code")
    func mistakes() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("no message".utf8), as: "text")
        try folder.write([], as: "empty")
        let hex = try RunHan.han(Self.command).output.trimmingCharacters(in: .newlines)
        func expect(_ code: Int32, _ words: String, _ arguments: [String]) throws {
            let run = try RunHan.han(["gbcs"] + arguments, in: folder.path)
            #expect(run.code == code && run.errors.contains(words), "\(arguments): \(run.errors)")
        }
        try expect(66, "does not exist", ["decode", "nowhere.hex"])
        try expect(66, "does not exist", ["decode", hex, "--keystore", "nowhere"])
        try expect(65, "neither hex digits", ["decode", "text"])
        try expect(65, "holds no message", ["decode", "empty"])
        try expect(65, "two for each byte", ["decode", "DF0"])
        try expect(65, "offset 1, transaction id length", ["decode", "DF08"])
        try expect(64, "needs --hash or --image", Array(Self.command[1..<9]))
        try expect(
            64, "does not belong", Array(Self.command[1...]) + ["--time", "2030-01-15T09:00:00Z"])
        try expect(
            64, "not both",
            Array(Self.command[1...]) + ["--cancel", "--at", "2030-01-15T09:00:00Z"])
        try expect(64, "is invalid", Array(Self.command[1...]) + ["--at", "2030-02-30T09:00:00Z"])
        try expect(66, "does not exist", ["sign", hex, "--key", "nowhere"])
        try expect(65, "no usable P-256 key", ["sign", hex, "--key", "text"])
        try expect(
            65, "no pre-command",
            ["sign", hex + "40" + String(repeating: "11", count: 64), "--key", "text"])
        try expect(64, "--keystore", ["sign", hex, "--key", "text", "--mac"])
        let keys = try Self.makeKeys(in: folder)
        try expect(
            65, "is not the key of the message's originator",
            ["sign", hex, "--key", "\(keys)/\(Self.esme)-ds.key", "--keystore", keys])
        try folder.write([], as: "none/README.txt")
        try expect(
            78, "no private digital-signing key",
            Array(Self.command[1...]) + ["--keystore", "none"])
    }

    @Test("a signature or MAC that is wrong or missing ends with 1, and is counted")
    func counts() throws {
        let folder = try TemporaryFolder()
        let keys = try Self.makeKeys(in: folder)
        let good = try RunHan.han(Self.command + ["--keystore", keys]).output
            .trimmingCharacters(in: .newlines)
        let wrong = String(good.dropLast()) + (good.last == "0" ? "1" : "0")
        let run = try RunHan.han(["gbcs", "decode", good, wrong, "DF", "--keystore", keys])
        #expect(run.code == 1)
        #expect(run.output.contains("3 messages, 1 of which cannot be read"))
        #expect(run.output.contains("signature  2      0        0      0"))
        #expect(run.output.contains("MAC        1      1        0      0"))
        #expect(try decode([good]).list[0]["signature"] as? String == "noKey")
        #expect(try decode([good, "DF", "--keystore", keys]).code == 65)
    }

    @Test("tshark takes every message that is made apart without complaint")
    func tshark() throws {
        let folder = try TemporaryFolder()
        let keys = try Self.makeKeys(in: folder)
        let time = ["--time", "2030-01-15T09:00:00Z"]
        let version = ["--firmware-version", "0x01020304"]
        let device = ["--device", Self.esme]
        let remote: [[String]] = [
            ["cs06", "--hash", Self.hash], ["cs06", "--hash", Self.hash, "--cancel"], ["cs08"],
            ["ecs52"], ["gcs38"], ["ccs02"] + device,
            ["ccs01", "--install-code", String(repeating: "5a", count: 16), "--join-time", "90"]
                + device,
        ]
        let own: [[String]] = [
            ["cs06-response"], ["cs06-response", "--result", "0"] + version,
            ["cs06-alert", "--command-counter", "9", "--result", "2"] + time + version,
            ["cs08-response"] + version, ["ecs52-response"] + version, ["gcs38-response"] + version,
            ["cs09", "--result", "0"] + time + version,
            ["ccs08", "--result", "3"] + time + version + device,
            ["receipt", "--result", "0", "--hash", Self.hash] + time,
            ["receipt", "--result", "1", "--hash", Self.hash, "--form", "gbz"] + time,
            ["power-on"] + time, ["power-on", "--form", "gbz"] + time, ["cs14"] + time + device,
        ]
        var capture: [UInt8] = [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0] + Self.little(0, 0, 65535, 147)
        for (index, arguments) in (remote + own).enumerated() {
            let ids =
                index < remote.count ? [Self.supplier, Self.esme] : [Self.esme, Self.supplier]
            let run = try RunHan.han(
                ["gbcs", "encode"] + arguments + [
                    "--from", ids[0], "--to", ids[1], "--counter", "7", "--keystore", keys,
                ])
            #expect(run.code == 0, "\(arguments): \(run.errors)")
            let bytes = try #require(Self.bytes(run.output.trimmingCharacters(in: .newlines)))
            capture +=
                Self.little(UInt32(index), 0, UInt32(bytes.count), UInt32(bytes.count)) + bytes
            let (code, list) = try decode([run.output, "--keystore", keys])
            #expect(code == 0 && list[0]["contentError"] == nil, "\(arguments)")
        }
        try folder.write(capture, as: "messages.pcap")
        let judge = try RunHan.run(
            "tshark",
            [
                "-r", "messages.pcap", "-T", "fields", "-e",
                "gbcs_message.grouping_header.message_code", "-e", "_ws.malformed", "-e",
                "_ws.expert.message", "-o",
                #"uat:user_dlts:"User 0 (DLT=147)","gbcs_message","0","","0","""#,
            ], in: folder.path)
        #expect(judge.code == 0, "\(judge.errors)")
        let lines = judge.output.split(separator: "\n")
        #expect(lines.count == remote.count + own.count)
        #expect(
            lines.allSatisfy { $0.hasPrefix("0x") && !$0.lowercased().contains("malformed") },
            "\(lines)")
    }

    private static func little(_ numbers: UInt32...) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    }
}

extension String {
    fileprivate var leftPadded: String { count < 2 ? "0" + self : self }
}

@Suite(
    "han gbcs and the published messages",
    .enabled(if: Published.folder != nil, "\(Reference.absent)"))
struct PublishedMessageTests {
    @Test("each is valid, has the use case of its name, and all are counted")
    func all() throws {
        let (code, list) = try decode(Published.files + ["--keystore", Published.keystore])
        #expect(code == 0)
        #expect(list.count == Published.files.count && list.count >= 17)
        for (file, report) in zip(Published.files, list) {
            #expect(report["file"] as? String == file)
            let name = (file.split(separator: "/").last ?? "").prefix { $0 != "_" }
            #expect(report["useCase"] as? String == String(name))
            let verdicts = [report["signature"] as? String, report["mac"] as? String]
            #expect(verdicts.allSatisfy { $0 == "valid" || $0 == "absent" }, "\(file)")
            let isBare = file.contains("PRECOMMAND")
            #expect(verdicts.allSatisfy { $0 == "absent" } == isBare, "\(file)")
            #expect(report["contentError"] == nil)
        }
        let text = try RunHan.han(
            ["gbcs", "decode"] + Published.files + ["--keystore", Published.keystore])
        #expect(text.code == 0 && text.output.contains("\(list.count) messages\n"))
    }

    @Test("a pre-command is made as it was published, and signed as its command was")
    func preCommand() throws {
        let run = try RunHan.han([
            "gbcs", "encode", "cs06", "--from", "90B3D51F30010000", "--to",
            "00-DB-12-34-56-78-90-A0", "--counter", "1004", "--hash",
            "AA758690730934FF0685AA758690730934FF0685657788990011223344556677", "--at",
            "2030-01-01T00:00:00Z",
        ])
        let published = try Published.hex("FUTURE_DATED_ERROR_PRECOMMAND")
        #expect(run.output == published + "\n")
        let whole = try RunHan.han([
            "gbcs", "sign", published, "--key", Published.keystore + "/90b3d51f30010000-ds.key",
            "--mac", "--keystore", Published.keystore,
        ])
        let command = try Published.hex("FUTURE_DATED_ERROR_COMMAND")
        #expect(whole.output.count == command.count + 1)
        let signed = published.count + 30
        #expect(whole.output.prefix(signed) == command.prefix(signed))
    }

    @Test("signed by another supplier, for another device, with another MAC: invalid")
    func forged() throws {
        let store = ["--keystore", Published.keystore]
        let command = try Published.hex("IMMEDIATE_SUCCESS_COMMAND")
        let diverted = command.replacingOccurrences(
            of: "00DB1234567890A0", with: "00DB1234567890A1")
        let other = try Published.hex("IMMEDIATE_ERROR_COMMAND")
        let exchanged = command.dropLast(24) + other.suffix(24)
        let (code, list) = try decode([diverted, String(exchanged)] + store)
        #expect(code == 1)
        #expect(list.map { $0["signature"] as? String } == ["invalid", "valid"])
        #expect(list.map { $0["mac"] as? String } == ["invalid", "invalid"])
        let response = try Published.hex("IMMEDIATE_SUCCESS_RESPONSE")
        let bare = response.dropLast(130)
        #expect(try decode([String(bare)] + store).list[0]["signature"] as? String == "invalid")
    }
}
