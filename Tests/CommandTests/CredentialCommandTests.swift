import Foundation
import Testing

/// A lab with an authority of ours, and what it has made for an ESME and a hub.
private final class TestLab {
    static let esme = "0247420000000101"
    static let hub = "0247420000000100"
    static let chf = "0247420000000180"
    static let supplier = "90b3d51f30010000"

    let folder: TemporaryFolder
    var path: String { folder.path }
    var ca: String { path + "/ca" }
    /// What `han keys device` has written.
    var made: String { path + "/made" }
    /// Where `han keys import` writes.
    var imported: String { path + "/imported" }

    init() throws {
        folder = try TemporaryFolder()
        try run(["keys", "ca", "--out", ca, "--seed", "7"])
        try device(Self.esme)
        try device(Self.hub)
    }

    func device(_ id: String, role: String? = nil, to folder: String? = nil) throws {
        try run(
            ["keys", "device", id, "--ca", ca, "--out", folder ?? made]
                + (role.map { ["--role", $0] } ?? []))
    }

    @discardableResult
    func run(_ arguments: [String]) throws -> RunHan.Result {
        let result = try RunHan.han(arguments)
        try #require(result.code == 0, "\(arguments): \(result.errors)")
        return result
    }

    /// What a listing has behind a label, in hex.
    func part(_ label: String, of file: String) throws -> String {
        let text = String(decoding: try folder.read(file), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(label + ":") })
        return String(line.dropFirst(label.count + 2))
    }

    func bytes(_ hex: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = hex[...]
        while let byte = UInt8(rest.prefix(2), radix: 16) {
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    /// The secrets of everybody, in hex and as PEM has them.
    func secrets() throws -> [String] {
        var secrets: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: made) {
            if name.hasSuffix(".cbke") {
                secrets.append(try part("Device Private Key", of: "made/\(name)"))
            } else if name.hasSuffix(".key") {
                let text = String(decoding: try folder.read("made/\(name)"), as: UTF8.self)
                secrets += text.split(separator: "\n").filter { !$0.hasPrefix("-") }
                    .map(String.init)
            }
        }
        return secrets
    }
}

private func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
}

@Suite("A test authority of our own")
struct TestAuthorityTests {
    @Test("openssl verifies a device's and a party's certificates up to the root, and no other's")
    func openssl() throws {
        let lab = try TestLab()
        try lab.device(TestLab.supplier, role: "supplier")
        func verify(_ certificate: String, root: String = "ca/root.pem") throws -> Int32 {
            try RunHan.run(
                "openssl",
                [
                    "verify", "-x509_strict", "-CAfile", root, "-untrusted", "ca/issuing.pem",
                    certificate,
                ], in: lab.path
            ).code
        }
        for id in [TestLab.esme, TestLab.hub, TestLab.supplier] {
            for use in ["ds", "ka"] {
                #expect(try verify("made/\(id)-\(use).pem") == 0)
                let key = try RunHan.run(
                    "openssl", ["pkey", "-in", "made/\(id)-\(use).key", "-pubout"], in: lab.path)
                let certified = try RunHan.run(
                    "openssl", ["x509", "-in", "made/\(id)-\(use).pem", "-pubkey", "-noout"],
                    in: lab.path)
                #expect(key.code == 0 && key.output == certified.output)
            }
        }
        #expect(try verify("ca/issuing.pem") == 0)
        try lab.run(["keys", "ca", "--out", lab.path + "/other", "--seed", "8"])
        #expect(try verify("made/\(TestLab.esme)-ds.pem", root: "other/root.pem") != 0)
        let text = try RunHan.run(
            "openssl", ["x509", "-in", "made/\(TestLab.esme)-ka.pem", "-noout", "-text"],
            in: lab.path
        ).output
        #expect(text.contains("Key Agreement") && !text.contains("Digital Signature"))
        #expect(text.contains("othername: 1.3.6.1.5.5.7.8.4"))
        let party = try RunHan.run(
            "openssl", ["x509", "-in", "made/\(TestLab.supplier)-ds.pem", "-noout", "-subject"],
            in: lab.path
        ).output
        #expect(party.contains("OU = 02"))
    }

    @Test("the same seed gives the same bytes, and another one others, all for this user only")
    func repeats() throws {
        let lab = try TestLab()
        for (seed, isSame) in [("7", true), ("8", false)] {
            let (ca, made) = (lab.path + "/ca-\(seed)", lab.path + "/made-\(seed)")
            try lab.run(["keys", "ca", "--out", ca, "--seed", seed])
            try lab.run(["keys", "device", TestLab.esme, "--ca", ca, "--out", made])
            for (folder, other) in [("ca", "ca-\(seed)"), ("made", "made-\(seed)")] {
                #expect(try mode("\(lab.path)/\(other)") == 0o700)
                let names = try FileManager.default.contentsOfDirectory(
                    atPath: "\(lab.path)/\(other)")
                #expect(names.count == 6)
                for name in names {
                    #expect(try mode("\(lab.path)/\(other)/\(name)") == 0o600)
                    let bytes = try lab.folder.read("\(other)/\(name)")
                    #expect(
                        try (bytes == lab.folder.read("\(folder)/\(name)")) == isSame, "\(name)")
                }
            }
        }
    }

    @Test("han gbcs takes the folder of devices as its key store, private keys included")
    func keystore() throws {
        let lab = try TestLab()
        try lab.device(TestLab.supplier, role: "supplier")
        try lab.device("90b3d51f30000002", role: "access-control-broker")
        let message = try lab.run([
            "gbcs", "encode", "cs06", "--from", TestLab.supplier, "--to", TestLab.esme,
            "--counter", "1000", "--hash", String(repeating: "ab", count: 32), "--keystore",
            lab.made,
        ])
        let read = try lab.run([
            "gbcs", "decode", "--json", message.output.trimmingCharacters(in: .newlines),
            "--keystore", lab.made,
        ])
        #expect(read.output.contains(#""signature" : "valid""#))
        #expect(read.output.contains(#""mac" : "valid""#))
        #expect(read.errors == "")
    }

    @Test("nothing is replaced unasked, written among the sources, or put where others can look")
    func places() throws {
        let lab = try TestLab()
        func refused(_ arguments: [String], _ code: Int32, _ words: String) throws {
            let result = try RunHan.han(arguments)
            #expect(result.code == code && result.errors.contains(words), "\(result.errors)")
        }
        let device = ["keys", "device", TestLab.esme, "--ca", lab.ca, "--out"]
        try refused(["keys", "ca", "--out", lab.ca], 74, "--force")
        try refused(device + [lab.made], 74, "--force")
        try lab.run(device + [lab.made, "--force"])
        let inside = RunHan.root + "/Tests/keys-of-a-test"
        for arguments in [["keys", "ca", "--out", inside], device + [inside]] {
            try refused(arguments, 78, "source tree")
        }
        #expect(!FileManager.default.fileExists(atPath: inside))
        try refused(device + [lab.path + "/no/such"], 74, "cannot be written")
        chmod(lab.made, 0o755)
        try refused(device + [lab.made, "--force"], 78, "chmod 700")
        chmod(lab.ca + "/suite2.ca", 0o640)
        try refused(device + [lab.path + "/new"], 78, "suite2.ca: others can read")
        chmod(lab.ca + "/suite2.ca", 0o600)
        try FileManager.default.removeItem(atPath: lab.ca + "/issuing.key")
        try refused(device + [lab.path + "/new"], 66, "issuing.key")
        for nobody in ["0000000000000000", "FFFFFFFFFFFFFFFF"] {
            try refused(
                ["keys", "device", nobody, "--ca", lab.ca, "--out", lab.made], 64, "EUI-64")
        }
        try refused(["keys", "device", "12", "--ca", lab.ca, "--out", lab.made], 64, "12")
    }
}

@Suite("A lab's own keys")
struct ImportTests {
    private static let code = "83FED3407A939723A5C639B26916D505C3B5"

    @Test("listings, bytes and hex, PEM and DER come to the same folder, and no secret is shown")
    func forms() throws {
        let lab = try TestLab()
        let (esme, made) = (TestLab.esme, "made/\(TestLab.esme)")
        var arguments = ["keys", "import", "ESME", "--to", lab.imported]
        // Suite 1 as bytes and hex in a file each, suite 2 as Certicom's page prints it.
        for (label, option, isText) in [
            ("Device Implicit Cert", "--cbke-certificate", false),
            ("Device Private Key", "--cbke-key", true), ("CA Public Key", "--cbke-ca", false),
        ] {
            let hex = try lab.part(label, of: "\(made)-suite1.cbke")
            arguments += [
                option,
                try lab.folder.write(
                    isText ? Array(("0x" + hex.uppercased() + "\n").utf8) : lab.bytes(hex),
                    as: option),
            ]
        }
        let listing: String = try ["CA Pub Key", "Device Implicit Cert", "Device Private Key"].map {
            let label = $0 == "CA Pub Key" ? "CA Public Key" : $0
            return "\($0):\r\n\(try lab.part(label, of: "\(made)-suite2.cbke"))\r\n"
        }.joined()
        arguments += ["--cbke", try lab.folder.write(Array(listing.utf8), as: "listing")]
        for (use, kind) in [("ds", "signing"), ("ka", "agreement")] {
            for (suffix, word, program) in [
                ("pem", "certificate", "x509"), ("key", "key", "pkey"),
            ] {
                let der = "\(lab.path)/\(use)-\(suffix).der"
                let run = try RunHan.run(
                    "openssl",
                    [
                        program, "-in", "\(lab.path)/\(made)-\(use).\(suffix)", "-outform", "DER",
                        "-out", der,
                    ])
                try #require(run.code == 0, "\(run.errors)")
                arguments += ["--\(kind)-\(word)", der]
            }
        }
        let code = try lab.folder.write(Array("\(Self.code)\n".utf8), as: "code")
        let result = try lab.run(arguments + ["--install-code", code])
        #expect(result.output.contains("ESME (0247420000000101)"), "\(result.output)")
        #expect(result.output.contains("suite 1") && result.output.contains("suite 2"))
        for secret in try lab.secrets() + [Self.code] {
            #expect(!(result.output + result.errors).contains(secret))
        }
        #expect(try mode(lab.imported) == 0o700)
        for name in [
            "-suite1.cbke", "-suite2.cbke", "-ds.pem", "-ds.key", "-ka.pem", "-ka.key",
        ] {
            let bytes = try lab.folder.read("imported/\(esme)\(name)")
            #expect(try bytes == lab.folder.read("\(made)\(name)"), "\(name)")
            #expect(try mode("\(lab.imported)/\(esme)\(name)") == 0o600)
        }
        #expect(try mode("\(lab.imported)/\(esme).installcode") == 0o600)
    }

    @Test("what does not fit together is refused with the file, the fault and what is expected")
    func pairings() throws {
        let lab = try TestLab()
        let (esme, hub) = ("\(lab.made)/\(TestLab.esme)", "\(lab.made)/\(TestLab.hub)")
        func file(_ text: String, _ name: String = "file") throws -> String {
            try lab.folder.write(Array(text.utf8), as: name)
        }
        func refused(_ options: [String], _ words: String, _ code: Int32 = 65) throws {
            let result = try RunHan.han(
                ["keys", "import", TestLab.esme, "--to", lab.imported] + options)
            #expect(result.code == code && result.errors.contains(words), "\(result.errors)")
            for secret in try lab.secrets() { #expect(!result.errors.contains(secret)) }
        }
        func part(_ label: String, _ suite: Int, of device: String) throws -> String {
            let name = device.dropFirst(lab.path.count + 1)
            return try file(
                lab.part(label, of: "\(name)-suite\(suite).cbke"), "\(label) \(suite)")
        }
        for suite in 1...2 {
            let certificate = [
                "--cbke-certificate", try part("Device Implicit Cert", suite, of: esme),
            ]
            let authority = ["--cbke-ca", try part("CA Public Key", suite, of: esme)]
            try refused(
                ["--cbke", "\(hub)-suite\(suite).cbke"], "is that of 0247420000000100")
            try refused(certificate + authority, "there is no private key", 64)
            // Of another device, of another authority, of the other suite.
            let key = try part("Device Private Key", suite, of: hub)
            try refused(certificate + authority + ["--cbke-key", key], "does not belong")
            let own = ["--cbke-key", try part("Device Private Key", suite, of: esme)]
            try lab.run(
                ["keys", "ca", "--out", lab.path + "/other", "--seed", "8", "--force"])
            let other = try lab.part("CA Public Key", of: "other/suite\(suite).ca")
            try refused(certificate + own + ["--cbke-ca", try file(other)], "does not belong")
            let wrong = try part("CA Public Key", 3 - suite, of: esme)
            try refused(
                certificate + own + ["--cbke-ca", wrong],
                suite == 1 ? "there is no CA public key" : "there is no certificate and no", 64)
            #expect(
                try RunHan.han(
                    ["keys", "import", TestLab.esme, "--to", lab.imported, "--force"] + certificate
                        + own + authority
                ).code == 0)
        }
        try refused(["--cbke-key", try file("00")], "1 bytes; a private key has 21")
        try refused(
            ["--cbke-key", try file(String(repeating: "ff", count: 36))], "there is no certificate",
            64)
        try refused(["--cbke", try file("hello")], "no line begins with")
        try refused(["--cbke", try file("Device Private Key: 12 3x")], "line 1: what")
        try refused(["--cbke", lab.path + "/none"], "does not exist", 66)
        try refused([], "Nothing to import", 64)

        let signing = ["--signing-certificate", "\(esme)-ds.pem"]
        try refused(["--signing-certificate", "\(hub)-ds.pem"], "is that of 0247420000000100")
        try refused(signing + ["--signing-key", "\(esme)-ka.key"], "does not belong")
        try refused(["--signing-key", "\(esme)-ds.key"], "certificate of this key", 64)
        try refused(["--signing-certificate", "\(esme)-ka.pem"], "digital signature")
        try refused(["--agreement-certificate", "\(esme)-ds.pem"], "key agreement")
        try refused(["--signing-certificate", lab.ca + "/root.pem"], "whose it is")
        let curve = try RunHan.run(
            "openssl",
            [
                "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "p384.key",
            ], in: lab.path)
        try #require(curve.code == 0)
        try refused(signing + ["--signing-key", lab.path + "/p384.key"], "secp384r1")

        try refused(["--install-code", try file(Self.code.dropLast() + "4")], "not the CRC")
        try refused(["--install-code", try file(String(Self.code.dropLast(4)))], "CRC")
        try refused(["--install-code", try file("what?")], "hex digit")
        let strange = try RunHan.han(
            ["keys", "import", "WHO", "--to", lab.imported] + signing)
        #expect(strange.code == 66 && strange.errors.contains("it has CH, CHF, ESME"))
    }

    /// Everything of the ESME and the hub, of the authority.
    private func whole(_ lab: TestLab) throws {
        try lab.device(TestLab.chf, role: "chf")
        try lab.device(TestLab.supplier, role: "supplier")
        let code = try lab.folder.write(Array(Self.code.utf8), as: "code")
        try lab.run(["keys", "import", "ESME", "--to", lab.made, "--install-code", code])
    }

    @Test("a home in which they are used is updated by signed commands, in one process and in many")
    func run() throws {
        let lab = try TestLab()
        try whole(lab)
        for transport in ["simulation", "zmq"] {
            let result = try RunHan.han(
                [
                    "run", "cs06-now", "--transport", transport, "--credentials", lab.made,
                    "--out", lab.path + "/" + transport,
                ], environment: ["HAN_HOME": RunHan.root])
            #expect(result.code == 0, "\(result.errors)")
            #expect(!result.errors.contains("will refuse"))
            for file in ["events.jsonl", "summary.json", "zigbee_pc_keys"] {
                let bytes = try lab.folder.read("\(transport)/\(file)")
                let text = String(decoding: bytes, as: UTF8.self).lowercased()
                for secret in try lab.secrets() + [Self.code] {
                    #expect(!text.contains(secret.lowercased()))
                }
                #expect(!text.contains("esme install code"))
                guard file != "summary.json" else { continue }
                #expect(try bytes == lab.folder.read("simulation/\(file)"), "\(file)")
            }
        }
        // The ESME has come to another key than with the certificates of the seed.
        let plain = try RunHan.han(
            ["run", "cs06-now", "--quiet", "--out", lab.path + "/plain"],
            environment: ["HAN_HOME": RunHan.root])
        #expect(plain.code == 0)
        func established(_ run: String) throws -> Substring {
            let text = String(decoding: try lab.folder.read("\(run)/zigbee_pc_keys"), as: UTF8.self)
            return try #require(
                text.split(separator: "\n").first { $0.contains("ESME established") })
        }
        #expect(try established("simulation") != established("plain"))
    }

    @Test("a home that is up uses them, and a folder that does not fit a home is refused")
    func up() throws {
        let lab = try TestLab()
        try whole(lab)
        let homes = try RuntimeFolder()
        let environment = ["HAN_HOME": RunHan.root].merging(homes.environment) { $1 }
        func han(_ arguments: [String]) throws -> RunHan.Result {
            try RunHan.han(arguments, environment: environment)
        }
        let up = try han([
            "up", "--detach", "--pace", "virtual", "--credentials", lab.made, "--out",
            lab.path + "/up",
        ])
        #expect(up.code == 0, "\(up.errors)")
        let events = lab.path + "/up/events.jsonl"
        var said = ""
        for _ in 0..<3_000 where !said.contains("linkKeyEstablished") {
            usleep(10_000)
            said = (try? String(contentsOfFile: events, encoding: .utf8)) ?? ""
        }
        #expect(said.contains("linkKeyEstablished"))
        #expect(try han(["down"]).code == 0)

        func refused(_ arguments: [String], _ code: Int32, _ words: String) throws {
            let result = try han(arguments)
            #expect(result.code == code && result.errors.contains(words), "\(result.errors)")
        }
        let use = ["run", "new-hub", "--quiet", "--credentials"]
        try refused(use + [lab.path + "/none"], 66, "does not exist")
        try refused(use + [lab.ca], 65, "it has no credentials")
        let node = ["node", "--air", "ipc:///tmp/none", "--name", "ESME", "--credentials"]
        chmod(lab.made, 0o750)
        try refused(use + [lab.made], 78, "chmod 700")
        chmod(lab.made, 0o700)
        let secret = "\(lab.made)/\(TestLab.esme)-suite1.cbke"
        chmod(secret, 0o604)
        for command in [use, node, ["up", "--credentials"]] {
            try refused(command + [lab.made], 78, "-suite1.cbke: others can read")
        }
        chmod(secret, 0o600)
        let alone = lab.path + "/alone"
        try lab.device(TestLab.esme, to: alone)
        let warned = try han(["run", "demo", "--quiet", "--credentials", alone])
        #expect(warned.errors.contains("CH will refuse it") && warned.code == 1)
        try lab.device("0247420000000999", to: alone)
        try refused(use + [alone], 65, "neither in the home")
        try FileManager.default.removeItem(atPath: "\(lab.made)/\(TestLab.esme)-ka.key")
        try refused(["run", "demo", "--credentials", lab.made], 65, "each with its private key")
    }
}
