// Checks Kubernetes' files by the published schemas of their kinds (package kubernetes-models), and refuses fields that no schema knows: a
// cluster drops those. Standard input: {"folder": where the packages are, "files": [paths]}. Prints a line for each error; the last line is
// the number of objects.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { folder, files } = JSON.parse(readFileSync(0, 'utf8'));
const require = createRequire(folder + '/');
const { parseAllDocuments } = require('yaml');
const capital = text => text[0].toUpperCase() + text.slice(1);
let objects = 0;
for (const file of files) {
    for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
        for (const problem of [...document.errors, ...document.warnings]) console.log(`${file}: ${problem.message}`);
        const object = document.toJS();
        if (!object?.apiVersion?.match(/^([a-z]+\/)?v[0-9a-z]+$/)) continue; // an overlay's own kinds, such as Kustomization
        objects++;
        const [group, version] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['core', object.apiVersion];
        const name = `IoK8sApi${capital(group)}${capital(version)}${object.kind}`;
        const { validate } = await import(pathToFileURL(`${folder}/node_modules/kubernetes-models/_schemas/${name}.js`));
        const read = new Map();
        if (!validate(watched(object, '', read))) {
            for (const error of validate.errors) console.log(`${file}: ${object.kind}${error.instancePath}: ${error.message ?? error.keyword + " " + JSON.stringify(error.params)}`);
        }
        for (const [path, { value, keys }] of read) {
            for (const key of Object.keys(value)) {
                if (!keys.has(key)) console.log(`${file}: ${object.kind}${path}: there is no field ${key}`);
            }
        }
    }
}
console.log(objects);

// An object that notes which of its fields are asked for: a validator asks for those that the schema has.
function watched(value, path, read) {
    if (value === null || typeof value !== 'object') return value;
    if (!read.has(path)) read.set(path, { value, keys: new Set(Array.isArray(value) ? Object.keys(value) : []) });
    const { keys } = read.get(path);
    return new Proxy(value, {
        get(target, key) {
            if (typeof key === 'string') keys.add(key);
            return typeof key === 'string' && Object.hasOwn(target, key) ? watched(target[key], `${path}/${key}`, read) : target[key];
        },
    });
}
