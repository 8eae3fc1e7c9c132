// swift-tools-version: 6.0

import Foundation
import PackageDescription

// Where Apple's frameworks are missing, stubs under their names let the rest be compiled and tested: on Linux,
// `COREML_STUB=1 swift test`. On a Mac the real ones are there, and the variable is left unset.
let frameworks = ["CoreML", "CoreVideo", "CoreGraphics", "ImageIO", "VideoToolbox"]
let stubbed = Context.environment["COREML_STUB"] == "1"
let apple: [Target.Dependency] = stubbed ? frameworks.map { .target(name: $0) } : []

let package = Package(
    name: "LightSAM",
    platforms: [.iOS("16.0"), .macOS("13.0"), .visionOS("1.0")],
    products: [
        .library(name: "LightSAM", targets: ["LightSAM"]),
        .executable(name: "lightsam-cli", targets: ["lightsam-cli"]),
    ],
    targets: [
        .target(name: "LightSAMCore"),
        .target(name: "LightSAM", dependencies: ["LightSAMCore"] + apple),
        .target(name: "LightSAMCommand", dependencies: ["LightSAM"] + apple),
        .executableTarget(name: "lightsam-cli", dependencies: ["LightSAMCommand"] + apple),
        .testTarget(name: "LightSAMCoreTests", dependencies: ["LightSAMCore"], resources: [.copy("Vectors")]),
        // What the example computes; an app takes these files as its own.
        .target(
            name: "LightSAMAppLogic", dependencies: ["LightSAM"] + apple, path: "Examples/LightSAMApp/Logic"),
        .testTarget(name: "LightSAMTests", dependencies: ["LightSAM", "LightSAMCommand", "LightSAMAppLogic"] + apple),
    ],
    swiftLanguageModes: [.v6]
)

if stubbed {
    let below: [String: [Target.Dependency]] = [
        "CoreML": ["CoreVideo"], "CoreVideo": ["CoreGraphics"], "ImageIO": ["CoreGraphics"],
        "VideoToolbox": ["CoreVideo"],
    ]
    package.targets += frameworks.map {
        .target(name: $0, dependencies: below[$0] ?? [], path: "Tests/Stubs/\($0)")
    }
}

// A bundle of `lightsam bundle` brings the model as a module of its own, and tests that run it on the device.
func exists(_ folder: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/\(folder)")
}

if exists("Sources/LightSAMModel") {
    package.products.append(.library(name: "LightSAMModel", targets: ["LightSAMModel"]))
    // Not `Resources`: iOS refuses to sign a bundle that holds a folder of that name.
    package.targets.append(
        .target(name: "LightSAMModel", dependencies: ["LightSAM"] + apple, resources: [.copy("Model")]))
    if exists("Tests/ModelTests/Answers") {
        package.targets.append(
            .testTarget(
                name: "ModelTests", dependencies: ["LightSAM", "LightSAMModel"] + apple, resources: [.copy("Answers")]))
    }
}
