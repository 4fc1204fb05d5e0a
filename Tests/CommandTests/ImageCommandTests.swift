import Foundation
import Testing

@Suite("han image")
struct ImageCommandTests {
    static let keys = RunHan.root + "/Firmware/keys"
    static let header = [
        "--manufacturer-code", "0xFFF1", "--image-type", "0x0007", "--file-version", "0x01020304",
    ]

    /// Builds an image in `folder` and gives its name there.
    static func build(_ name: String, _ options: [String], in folder: TemporaryFolder) throws {
        let result = try RunHan.han(
            ["image", "build"] + header + options + ["--output", name], in: folder.path)
        try #require(result.code == 0, "\(result.errors)")
    }

    static func inspect(_ name: String, in folder: TemporaryFolder) throws -> [String: Any] {
        let result = try RunHan.han(["image", "inspect", name, "--json"], in: folder.path)
        try #require(result.code == 0, "\(result.errors)")
        return try #require(
            JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    }

    @Test("a maker's binary becomes a signed image whose fields, hash and signature are its own")
    func buildsSigned() throws {
        let folder = try TemporaryFolder()
        let binary = (0..<70_001).map { UInt8(truncatingIfNeeded: $0 * 7 >> 3) }
        try folder.write(binary, as: "maker.bin")
        try Self.build(
            "a.ota",
            [
                "maker.bin", "--key", Self.keys + "/supplier-test.key.pem", "--force-replace",
                "--hardware-min", "3", "--hardware-max", "0x20", "--header-string", "a maker's",
                "--stack-version", "3", "--credential-version", "2",
                "--destination", "00-DB-12-34-56-78-90-A4", "--header-version", "0x0101",
                "--reserved-control-bits", "0x8000",
            ], in: folder)
        let report = try Self.inspect("a.ota", in: folder)
        #expect(report["form"] as? String == "gbcs-signed")
        #expect(report["size"] as? Int == 69 + 70_001 + 66)
        let header = try #require(report["header"] as? [String: Any])
        let expected: [String: String] = [
            "headerVersion": "0x0101", "fieldControl": "0x8007", "manufacturerCode": "0xFFF1",
            "imageType": "0x0007", "fileVersion": "0x01020304", "stackVersion": "0x0003",
            "headerString": "a maker's", "securityCredentialVersion": "0x02",
            "destination": "00DB1234567890A4",
        ]
        for (field, value) in expected { #expect(header[field] as? String == value, "\(field)") }
        #expect(header["headerLength"] as? Int == 69)
        #expect(
            header["hardwareVersions"] as? [String: String]
                == ["minimum": "0x0003", "maximum": "0x0020"])
        #expect((report["trailer"] as? [String: Any])?["forceReplace"] as? Int == 1)

        let bytes = try folder.read("a.ota")
        #expect(Array(bytes[69..<70_070]) == binary)
        let sum = try RunHan.run(
            "openssl", ["dgst", "-sha256", "-r", "maker.bin"], in: folder.path)
        let image = try #require(report["manufacturerImage"] as? [String: Any])
        #expect(image["sha256"] as? String == String(sum.output.prefix(64)))
    }

    @Test("openssl accepts the signature over the maker's binary, and not over a changed one")
    func opensslVerifies() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("some firmware of ours".utf8), as: "maker.bin")
        try Self.build(
            "a.ota", ["maker.bin", "--key", Self.keys + "/supplier-test.key.pem"], in: folder)
        let signature = try folder.read("a.ota").suffix(64)
        try folder.write(
            Self.der(r: Array(signature.prefix(32)), s: Array(signature.suffix(32))), as: "sig.der")
        let key = try RunHan.run(
            "openssl", ["x509", "-in", Self.keys + "/supplier-test.pem", "-pubkey", "-noout"])
        try folder.write(Array(key.output.utf8), as: "public.pem")
        let arguments = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "sig.der"]
        #expect(try RunHan.run("openssl", arguments + ["maker.bin"], in: folder.path).code == 0)
        try folder.write(Array("Some firmware of ours".utf8), as: "other.bin")
        #expect(try RunHan.run("openssl", arguments + ["other.bin"], in: folder.path).code != 0)
    }

    /// An ECDSA signature as the DER that openssl reads.
    static func der(r: [UInt8], s: [UInt8]) -> [UInt8] {
        func integer(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = Array(bytes.drop { $0 == 0 })
            if bytes.first.map({ $0 >= 0x80 }) ?? true { bytes.insert(0, at: 0) }
            return [2, UInt8(bytes.count)] + bytes
        }
        let body = integer(r) + integer(s)
        return [0x30, UInt8(body.count)] + body
    }

    @Test("verify exits 0 for the right certificate or key and 1 for any other or a changed image")
    func verifies() throws {
        let folder = try TemporaryFolder()
        let key = Self.keys + "/supplier-test.key.pem"
        try Self.build("a.ota", ["--size", "1000", "--seed", "1", "--key", key], in: folder)
        func verify(_ image: String, _ option: [String]) throws -> RunHan.Result {
            try RunHan.han(["image", "verify", image] + option, in: folder.path)
        }
        let right = try verify("a.ota", ["--certificate", Self.keys + "/supplier-test.pem"])
        #expect(right.code == 0)
        #expect(right.output.contains("the supplier signature is valid"))
        #expect(try verify("a.ota", ["--key", key]).code == 0)

        let made = try RunHan.run(
            "openssl",
            [
                "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                "other.pem",
            ], in: folder.path)
        #expect(made.code == 0)
        let wrong = try verify("a.ota", ["--key", "other.pem"])
        #expect(wrong.code == 1)
        #expect(wrong.errors.hasPrefix("han: a.ota: the signature is wrong"))
        #expect(wrong.output.isEmpty)

        var changed = try folder.read("a.ota")
        changed[500] ^= 1
        try folder.write(changed, as: "changed.ota")
        #expect(try verify("changed.ota", ["--key", key]).code == 1)
        changed[500] ^= 1
        changed[changed.count - 66] = 2
        try folder.write(changed, as: "replace.ota")
        let replace = try verify("replace.ota", ["--key", key, "--form", "gbcs-signed"])
        #expect(replace.code == 1 && replace.errors.contains("force replace byte"))
        #expect(try verify("a.ota", []).code == 64)
        #expect(try verify("a.ota", ["--key", key, "--certificate", key]).code == 64)
        #expect(try verify("a.ota", ["--key", "a.ota"]).code == 65)
        #expect(try verify("a.ota", ["--certificate", "absent.pem"]).code == 66)
    }

    @Test("verify says that a PPMID image has no signature and exits 0")
    func unsigned() throws {
        let folder = try TemporaryFolder()
        try Self.build("p.ota", ["--size", "1000", "--seed", "1"], in: folder)
        for option in [[], ["--certificate", Self.keys + "/supplier-test.pem"]] {
            let result = try RunHan.han(["image", "verify", "p.ota"] + option, in: folder.path)
            #expect(result.code == 0)
            #expect(result.output.contains("no supplier signature"))
            #expect(result.output.contains("--form gbcs-signed"))
        }
        let forced = try RunHan.han(
            ["image", "verify", "p.ota", "--form", "gbcs-signed"], in: folder.path)
        #expect(forced.code == 65)
    }

    @Test("a standard image keeps its elements, and a wrong integrity code is a failed verdict")
    func standard() throws {
        let folder = try TemporaryFolder()
        try folder.write([1, 2, 3], as: "extra.bin")
        try Self.build(
            "s.ota",
            [
                "--size", "300", "--seed", "5", "--form", "standard", "--element",
                "0xF00D=extra.bin", "--integrity", "including-tag-header",
            ], in: folder)
        let report = try Self.inspect("s.ota", in: folder)
        let elements = try #require(report["elements"] as? [[String: Any]])
        #expect(elements.map { $0["tag"] as? String } == ["0x0000", "0xF00D", "0x0003"])
        #expect(elements.map { $0["size"] as? Int } == [300, 3, 16])
        #expect(report["integrity"] as? String == "including-tag-header")
        #expect(try RunHan.han(["image", "verify", "s.ota"], in: folder.path).code == 0)
        let demo = try RunHan.han(["demo", "--image", "ESME=s.ota"], in: folder.path)
        #expect(demo.code == 65)
        #expect(
            demo.errors.contains(
                "it looks like the form standard, and here it has to be gbcs-signed"))
        var changed = try folder.read("s.ota")
        changed[100] ^= 1
        try folder.write(changed, as: "s.ota")
        let result = try RunHan.han(["image", "verify", "s.ota"], in: folder.path)
        #expect(result.code == 1)
        #expect(result.errors.contains("the image integrity code is wrong"))
    }

    @Test("the same arguments build the same bytes, another seed others")
    func repeats() throws {
        let folder = try TemporaryFolder()
        let key = ["--key", Self.keys + "/supplier-test.key.pem"]
        try Self.build("1.ota", ["--size", "5000", "--seed", "1"] + key, in: folder)
        try Self.build("2.ota", ["--size", "5000", "--seed", "1"] + key, in: folder)
        try Self.build("3.ota", ["--size", "5000", "--seed", "2"] + key, in: folder)
        #expect(try folder.read("1.ota") == folder.read("2.ota"))
        #expect(try folder.read("1.ota") != folder.read("3.ota"))
    }

    @Test("a broken image names file, offset, field, what was found and what was expected")
    func broken() throws {
        let folder = try TemporaryFolder()
        try Self.build("a.ota", ["--size", "100", "--seed", "1"], in: folder)
        let bytes = try folder.read("a.ota")
        try folder.write(Array(bytes.dropLast(9)), as: "short.ota")
        let short = try RunHan.han(["image", "inspect", "short.ota"], in: folder.path)
        #expect(short.code == 65)
        #expect(
            short.errors == "han: short.ota: offset 52, total image size: found 160 bytes, "
                + "expected the file's 151\n")
        try folder.write(Array("not an image".utf8), as: "text.ota")
        let text = try RunHan.han(["image", "inspect", "text.ota"], in: folder.path)
        #expect(text.code == 65)
        #expect(text.errors.contains("offset 0, file identifier"))
        try folder.write([], as: "empty.ota")
        #expect(try RunHan.han(["image", "inspect", "empty.ota"], in: folder.path).code == 65)
    }

    @Test(
        "numbers out of range and codes that no image can have exit 64, with the range",
        arguments: [
            (["--image-type", "0xFFFF"], "--image-type 0xFFFF is reserved"),
            (["--image-type", "0xFFC4"], "give 0 to 0xFFC3"),
            (["--image-type", "-3"], "The value '-3' is invalid for '--image-type <image-type>'"),
            (["--image-type", "65536"], "a whole number from 0 to 65535 (0xFFFF)"),
            (["--manufacturer-code", "0xFFFF"], "give 0 to 0xFFFE"),
            (["--file-version", "0xFFFFFFFF"], "give 0 to 0xFFFFFFFE"),
            (["--size", "-5"], "a whole number from 1 to 10240000"),
            (["--size", "x"], "The value 'x' is invalid for '--size <size>'"),
            (["--destination", "FFFFFFFFFFFFFFFF"], "--destination FFFFFFFFFFFFFFFF"),
        ])
    func reserved(options: [String], message: String) throws {
        let folder = try TemporaryFolder()
        let header = Self.header + ["--size", "9", "--seed", "1", "--output", "a.ota"]
        // The last of an option's values holds.
        let result = try RunHan.han(["image", "build"] + header + options, in: folder.path)
        #expect(result.code == 64)
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/a.ota"))
    }

    @Test("an image written to standard output is nothing but the image")
    func toStandardOutput() throws {
        let folder = try TemporaryFolder()
        let sample = ["--size", "100", "--seed", "1"]
        try Self.build("a.ota", sample, in: folder)
        for output in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            let arguments = [RunHan.binary, "image", "build"] + Self.header + sample
            for sink in [">b.ota", "| cat >b.ota"] {
                let result = try RunHan.run(
                    "bash", ["-c", "\"$0\" \"$@\" \(sink)"] + arguments + ["--output", output],
                    in: folder.path)
                #expect(result.code == 0)
                #expect(result.errors.hasPrefix("Wrote"), "\(output) \(sink)")
                #expect(try folder.read("b.ota") == folder.read("a.ota"), "\(output) \(sink)")
            }
        }
    }

    @Test("a header string that is no UTF-8 is refused, and U+FFFD itself is not")
    func headerString() throws {
        let folder = try TemporaryFolder()
        let arguments =
            [RunHan.binary, "image", "build"] + Self.header
            + ["--size", "9", "--seed", "1", "--output", "a.ota"]
        func build(_ string: String) throws -> RunHan.Result {
            try RunHan.run(
                "bash", ["-c", "\"$0\" \"$@\" --header-string\(string)"] + arguments,
                in: folder.path)
        }
        for string in [" $'caf\\xe9'", "=$'\\xff'", " $'\\xed\\xa0\\x80'"] {
            let result = try build(string)
            #expect(result.code == 64, "\(string)")
            #expect(result.errors.contains("--header-string is no UTF-8"), "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder.path + "/a.ota"))
        }
        #expect(try build(" $'\\xef\\xbf\\xbd'").code == 0)
        #expect(try folder.read("a.ota")[20..<24] == [0xEF, 0xBF, 0xBD, 0])
    }

    @Test("exit codes tell usage, missing files and unwritable files apart")
    func exitCodes() throws {
        let folder = try TemporaryFolder()
        func code(_ arguments: [String]) throws -> Int32 {
            try RunHan.han(["image"] + arguments, in: folder.path).code
        }
        #expect(try code(["inspect"]) == 64)
        #expect(try code(["nonsense"]) == 64)
        #expect(try code(["inspect", "x", "--nonsense"]) == 64)
        #expect(try code(["inspect", "x", "--form", "nonsense"]) == 64)
        #expect(try code(["inspect", "absent.ota"]) == 66)
        #expect(try code(["inspect", "."]) == 74)
        let build = ["build"] + Self.header
        let sample = ["--size", "10", "--seed", "1"]
        #expect(try code(build + sample + ["--output", "no/such/folder/a.ota"]) == 74)
        #expect(try code(build + ["absent.bin", "--output", "a.ota"]) == 66)
        #expect(try code(build + ["--output", "a.ota"]) == 64)
        #expect(try code(build + sample + ["x.bin", "--output", "a.ota"]) == 64)
        #expect(try code(build + ["--size", "0", "--seed", "1", "--output", "a.ota"]) == 64)
        #expect(
            try code(build + sample + ["--output", "a.ota", "--form", "gbcs-signed"]) == 64)
        #expect(try code(build + sample + ["--output", "a.ota", "--force-replace"]) == 64)
        #expect(
            try code(build + sample + ["--output", "a.ota", "--image-type", "0x10000"]) == 64)
        #expect(
            try code(
                build + sample
                    + ["--output", "a.ota", "--header-string", String(repeating: "x", count: 33)])
                == 64)
        #expect(try code(["--help"]) == 0)
    }
}

@Suite("han image list")
struct ImageListTests {
    /// A home of its own with the project's Firmware folder in it.
    static func home() throws -> TemporaryFolder {
        let home = try TemporaryFolder()
        try home.write([], as: "Profiles/none")
        try FileManager.default.copyItem(
            atPath: RunHan.root + "/Firmware", toPath: home.path + "/Firmware")
        return home
    }

    static func list(_ home: TemporaryFolder, _ options: [String] = []) throws -> RunHan.Result {
        try RunHan.han(["image", "list"] + options, environment: ["HAN_HOME": home.path])
    }

    @Test("the sample manifest has an old and a new image for each kind of device")
    func samples() throws {
        let home = try Self.home()
        let result = try Self.list(home, ["--json"])
        try #require(result.code == 0, "\(result.errors)")
        let images = try #require(
            JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]])
        for kind in ["CH", "ESME", "GSME", "PPMID", "HCALCS"] {
            // A second load switch has only the image that its home's scenario sends.
            let versions = images.filter {
                $0["deviceType"] as? String == kind && $0["model"] as? String != "Switchbox G"
            }
            try #require(versions.count == 2, "\(kind)")
            let old = try #require(versions[0]["version"] as? String)
            let new = try #require(versions[1]["version"] as? String)
            #expect(old < new)
            #expect(versions[0]["installableFrom"] as? String == "any")
            #expect(versions[1]["installableFrom"] as? [String] == [old])
            for image in versions {
                let size = try #require(image["totalImageSize"] as? Int)
                #expect(size >= 48 << 10 && size <= 64 << 10)
                #expect(
                    image["form"] as? String == (kind == "PPMID" ? "gbcs-unsigned" : "gbcs-signed"))
            }
        }
        let sizes = images.compactMap { $0["totalImageSize"] as? Int }
        #expect(Set(sizes).count == images.count)
        let table = try Self.list(home)
        #expect(table.code == 0)
        #expect(table.output.split(separator: "\n").count == images.count + 1)
    }

    @Test("a manifest whose hash is wrong names its line and field, and exits 65")
    func wrongHash() throws {
        let home = try Self.home()
        let text = String(decoding: try home.read("Firmware/manifest.yaml"), as: UTF8.self)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let index = try #require(lines.lastIndex { $0.contains("manufacturerImageHash") })
        lines[index] =
            lines[index].prefix { $0 != ":" } + ": " + String(repeating: "ab", count: 32)
        try home.write(Array(lines.joined(separator: "\n").utf8), as: "Firmware/manifest.yaml")
        let result = try Self.list(home)
        #expect(result.code == 65)
        #expect(result.errors.contains("manifest.yaml:\(index + 1):"))
        #expect(result.errors.contains("images[10].manufacturerImageHash: expected "))
    }

    @Test("a missing manifest exits 66, a home without the folders 78")
    func missing() throws {
        let home = try Self.home()
        try FileManager.default.removeItem(atPath: home.path + "/Firmware/manifest.yaml")
        #expect(try Self.list(home).code == 66)
        let empty = try TemporaryFolder()
        let result = try Self.list(empty)
        #expect(result.code == 78)
        #expect(result.errors.contains("HAN_HOME"))
        #expect(try Self.list(empty, ["--firmware", RunHan.root + "/Firmware"]).code == 0)
    }
}
